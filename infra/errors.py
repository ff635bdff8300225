"""Every error a user can ever see, in one tree.

MaquetteError
├── BadInput                     the request or the photo; trying again cannot help
│   ├── InvalidOption            invalid_option
│   ├── EmptyFile                empty_file
│   ├── UnsupportedImage         unsupported_image
│   ├── CorruptImage             corrupt_image
│   ├── ImageTooLarge            image_too_large
│   ├── ImageTooSmall            image_too_small
│   └── NoClearObject            no_clear_object
├── ReconstructionError          the photo was fine, no model came of it
│   ├── EmptySurface             empty_surface
│   ├── UnwrapFailed             unwrap_failed
│   ├── EncodingFailed           encoding_failed
│   ├── OutOfMemory              out_of_memory
│   ├── WeightsMissing           weights_missing
│   └── WeightsCorrupt           weights_corrupt
├── AccessError                  who is asking, and for what
│   ├── Unauthorized             unauthorized
│   ├── AccessKeyRequired        access_key_required
│   └── NotFound                 not_found
├── JobError                     the life of a job
│   ├── JobCanceled              canceled
│   ├── JobOverdue               deadline_exceeded
│   ├── WorkerLost               worker_lost
│   └── StaleAttempt             stale_attempt
├── MachineError                 this machine is not ready for what was asked
│   ├── BadConfiguration         bad_configuration
│   ├── MissingDependency        missing_dependency
│   ├── PortTaken                port_taken
│   ├── AlreadyRunning           already_running
│   ├── NotRunning               not_running
│   ├── DownloadFailed           download_failed
│   └── DownloadCorrupt          download_corrupt
├── DeploymentError              a deployment to AWS, or its removal
│   ├── NotReady                 not_ready
│   ├── CredentialsMissing       credentials_missing
│   ├── NotConfirmed             not_confirmed
│   ├── BuildFailed              build_failed
│   └── StackFailed              stack_failed
└── InternalError                internal_error

The same ``code`` stands in the job record, in REST answers and on the command line; the message is one or
two sentences for the person who sees it: what happened, and what to do about it.
"""

from __future__ import annotations

from typing import ClassVar


class MaquetteError(Exception):
    """Base of the tree: ``code`` for programs, ``message`` for people."""

    code: ClassVar[str] = "internal_error"
    http_status: ClassVar[int] = 500
    #: False when the same job may well succeed on another attempt.
    permanent: ClassVar[bool] = True

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def as_dict(self) -> dict[str, str]:
        """The ``error`` object of the job record and of REST answers."""
        return {"code": self.code, "message": self.message}


class BadInput(MaquetteError):
    """The request or the photo cannot be used; the same input fails again."""

    code = "bad_input"
    http_status = 400


class InvalidOption(BadInput):
    """An option is unknown, of the wrong type or out of bounds."""

    code = "invalid_option"


class EmptyFile(BadInput):
    """The file holds no bytes."""

    code = "empty_file"


class UnsupportedImage(BadInput):
    """The bytes are not of a format on the allow-list."""

    code = "unsupported_image"
    http_status = 415


class CorruptImage(BadInput):
    """The format is known, the contents are truncated or broken."""

    code = "corrupt_image"


class ImageTooLarge(BadInput):
    """Too many bytes or too many pixels; judged before decoding."""

    code = "image_too_large"
    http_status = 413


class ImageTooSmall(BadInput):
    """Too few pixels to see an object in."""

    code = "image_too_small"


class NoClearObject(BadInput):
    """No single object stands out from its background."""

    code = "no_clear_object"


class ReconstructionError(MaquetteError):
    """The photo was fine, but no model came of it."""

    code = "reconstruction_failed"


class EmptySurface(ReconstructionError):
    """The field never reaches the surface level inside the cube."""

    code = "empty_surface"


class UnwrapFailed(ReconstructionError):
    """The surface falls into more charts than the texture can hold."""

    code = "unwrap_failed"


class EncodingFailed(ReconstructionError):
    """A picture or the video could not be encoded."""

    code = "encoding_failed"
    permanent = False


class OutOfMemory(ReconstructionError):
    """The job wants more memory than a worker has, and will want it again."""

    code = "out_of_memory"


class WeightsMissing(ReconstructionError):
    """The asked-for engine needs weights that are not on this machine."""

    code = "weights_missing"


class WeightsCorrupt(ReconstructionError):
    """A model file does not have the pinned SHA-256."""

    code = "weights_corrupt"


class AccessError(MaquetteError):
    """Who is asking, and for what."""

    code = "forbidden"
    http_status = 403


class Unauthorized(AccessError):
    """No session token, or one that is expired or forged."""

    code = "unauthorized"
    http_status = 401


class AccessKeyRequired(AccessError):
    """The deployment gives sessions only to those who know its access key."""

    code = "access_key_required"
    http_status = 401


class NotFound(AccessError):
    """There is no such thing, or it is not the asker's: the two look the same."""

    code = "not_found"
    http_status = 404


class TooManyJobs(AccessError):
    """One owner has as many jobs under way as may be at a time; one that ends makes room."""

    code = "too_many_jobs"
    http_status = 429


class JobError(MaquetteError):
    """The life of a job."""

    code = "job_failed"


class JobCanceled(JobError):
    """Its owner canceled the job while it ran."""

    code = "canceled"
    http_status = 409


class JobOverdue(JobError):
    """The job did not end before its deadline."""

    code = "deadline_exceeded"


class WorkerLost(JobError):
    """Worker after worker died on this job."""

    code = "worker_lost"


class StaleAttempt(JobError):
    """Another worker has taken the job over; this one's writes are refused."""

    code = "stale_attempt"
    http_status = 409


class MachineError(MaquetteError):
    """This machine is not ready for what was asked."""

    code = "machine_not_ready"


class BadConfiguration(MachineError):
    """An environment variable is missing or unusable."""

    code = "bad_configuration"


class MissingDependency(MachineError):
    """A package or program is not installed."""

    code = "missing_dependency"


class PortTaken(MachineError):
    """Something else listens on the asked port."""

    code = "port_taken"


class AlreadyRunning(MachineError):
    """A local cloud runs on this data folder already."""

    code = "already_running"


class NotRunning(MachineError):
    """No local cloud is running."""

    code = "not_running"


class DownloadFailed(MachineError):
    """A host is out of reach or refuses; what has arrived is kept."""

    code = "download_failed"


class DownloadCorrupt(MachineError):
    """A file did not arrive as it was made."""

    code = "download_corrupt"


class DeploymentError(MaquetteError):
    """A deployment to AWS, or its removal."""

    code = "deployment_failed"


class NotReady(DeploymentError):
    """Several things are missing before a deployment can begin; they are told at once."""

    code = "not_ready"


class CredentialsMissing(DeploymentError):
    """There are no AWS credentials, or AWS does not take them."""

    code = "credentials_missing"


class NotConfirmed(DeploymentError):
    """Nobody said yes."""

    code = "not_confirmed"


class BuildFailed(DeploymentError):
    """The site, the functions' bundle or the worker's image could not be built or sent."""

    code = "build_failed"


class StackFailed(DeploymentError):
    """CloudFormation could not make the stack what the template says."""

    code = "stack_failed"


class InternalError(MaquetteError):
    """A defect of ours; the log has the trace."""

    code = "internal_error"
    permanent = False
