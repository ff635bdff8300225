"""Buckets: where things lie, and links that let others put and get exactly one of them.

    upload bucket     inbox/{anything}                     the drop folder
                      uploads/{job_id}/{filename}          photos that REST asked for
    artifact bucket   jobs/{job_id}/{attempt}/{artifact}   results; ``manifest.json`` is written last

Reference for the links: AWS S3 API, "Creating a POST policy".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from infra.artifacts import POSTER, content_type
from infra.clients import client, error_code
from infra.errors import ImageTooLarge, InvalidOption, MachineError, NotFound
from infra.job import Source

INBOX = "inbox/"
UPLOADS = "uploads/"
ARTIFACTS = "jobs/"

#: Largest photo that is taken in, bytes.
MAX_PHOTO_BYTES = 64 * 2**20
#: An upload must begin within this time.
UPLOAD_LINK_SECONDS = 300
#: A download must begin within this time.
DOWNLOAD_LINK_SECONDS = 900

#: Content-Type of the pictures that may be uploaded, by extension. What a file really is, the worker finds out.
IMAGE_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".heif": "image/heif",
}

_LONGEST_FILENAME = 100


@dataclass(frozen=True)
class UploadForm:
    """A presigned POST: send ``fields`` and then the file, as multipart form data, to ``url``."""

    url: str
    fields: dict[str, str]


def upload_key(job_id: str, filename: str) -> str:
    """The key that REST chooses for a photo."""
    return f"{UPLOADS}{job_id}/{safe_filename(filename)}"


def artifact_prefix(job_id: str, attempt: int) -> str:
    """Where one attempt puts its results; another attempt has another place."""
    return f"{ARTIFACTS}{job_id}/{attempt}/"


def safe_filename(filename: str) -> str:
    """The file's own name, without folders or anything that a key, a header or a page could misread."""
    name = PurePosixPath(filename.replace("\\", "/")).name
    name = re.sub(r"[^\w .()+-]", "_", name).strip(". ")
    stem, dot, extension = name.rpartition(".")
    if not dot:
        stem, extension = name, ""
    return (stem[:_LONGEST_FILENAME] + dot + extension[:8]) if stem else "photo"


def image_type(filename: str, declared: str | None) -> str:
    """The Content-Type a photo is uploaded with: the declared one, else what its extension says.

    Raises:
        InvalidOption: it is none of :data:`IMAGE_TYPES`.
    """
    found = IMAGE_TYPES.get(PurePosixPath(filename).suffix.lower()) if declared is None else declared
    if found is None or found not in IMAGE_TYPES.values():
        formats = ", ".join(sorted({kind.removeprefix("image/") for kind in IMAGE_TYPES.values()}))
        raise InvalidOption(f"content_type must be that of a picture ({formats}), as in image/png.")
    return found


def upload_form(bucket: str, key: str, kind: str) -> UploadForm:
    """A form that puts one photo of at most :data:`MAX_PHOTO_BYTES` under exactly ``key``, soon."""
    answer = client("s3").generate_presigned_post(
        bucket,
        key,
        Fields={"Content-Type": kind},
        Conditions=[{"Content-Type": kind}, ["content-length-range", 1, MAX_PHOTO_BYTES]],
        ExpiresIn=UPLOAD_LINK_SECONDS,
    )
    return UploadForm(answer["url"], answer["fields"])


def download_link(bucket: str, key: str) -> str:
    """A link to one artifact, served as an attachment of its fixed type."""
    name = PurePosixPath(key).name
    parameters = {
        "Bucket": bucket,
        "Key": key,
        "ResponseContentType": content_type(name),
        "ResponseContentDisposition": _attachment(name),
    }
    link = client("s3").generate_presigned_url("get_object", Params=parameters, ExpiresIn=DOWNLOAD_LINK_SECONDS)
    return str(link)


def _attachment(name: str) -> str:
    """To be saved and never shown as a page, however a link leads to it."""
    return f'attachment; filename="{name}"'


def read_metadata(bucket: str, key: str, version: str | None) -> dict[str, str]:
    """The ``x-amz-meta-*`` of an object, names in lower case and without the prefix."""
    given = {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})
    return dict(client("s3").head_object(**given)["Metadata"])


def read_photo(source: Source) -> bytes:
    """The bytes of exactly the object that the job was made for.

    Raises:
        NotFound: it is gone, or another was put in its place.
        ImageTooLarge: more than :data:`MAX_PHOTO_BYTES`.
    """
    given: dict[str, Any] = {"Bucket": source.bucket, "Key": source.key}
    if source.version:
        given["VersionId"] = source.version
    elif source.etag:
        given["IfMatch"] = source.etag
    s3 = client("s3")
    try:
        answer = s3.get_object(**given)
    except s3.exceptions.ClientError as error:
        if error_code(error) in ("NoSuchKey", "NoSuchVersion", "404"):
            raise NotFound("The photo was removed before it could be read. Upload it again.") from error
        if error_code(error) in ("PreconditionFailed", "412"):
            raise NotFound("Another photo was put in this one's place; it has a job of its own.") from error
        raise
    if answer["ContentLength"] > MAX_PHOTO_BYTES:
        raise photo_too_large(answer["ContentLength"])
    return bytes(answer["Body"].read())


def photo_too_large(size: int) -> ImageTooLarge:
    """The refusal of a photo of ``size`` bytes."""
    return ImageTooLarge(
        f"The photo has {size / 2**20:.0f} MiB; at most {MAX_PHOTO_BYTES // 2**20} are taken. "
        "Save it smaller, or as JPEG."
    )


def write_artifact(bucket: str, key: str, path: Path) -> None:
    """Put one result in its place, with the type its name has in :mod:`infra.artifacts`."""
    with path.open("rb") as body:
        client("s3").put_object(
            Bucket=bucket,
            Key=key,
            Body=body,
            ContentType=content_type(path.name),
            ContentDisposition=_attachment(path.name),
        )


def poster_link(bucket: str, manifest_key: str) -> str:
    """A link to the poster beside a manifest, for a page to show. Made without asking anybody."""
    return download_link(bucket, manifest_key.rpartition("/")[0] + f"/{POSTER}")


def delete_artifacts(bucket: str, job_id: str) -> None:
    """Remove everything that any attempt of the job has left; once too often does no harm."""
    s3 = client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{ARTIFACTS}{job_id}/")
    for page in pages:
        keys = [{"Key": entry["Key"]} for entry in page.get("Contents", [])]
        if keys:
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
            if answer.get("Errors"):
                raise MachineError(f"Files of job {job_id} could not be removed: {answer['Errors'][0]}")


def delete_photo(source: Source) -> None:
    """Remove the photo: exactly the version that the job was made for; once too often does no harm."""
    version = {"VersionId": source.version} if source.version else {}
    client("s3").delete_object(Bucket=source.bucket, Key=source.key, **version)


def read_artifact(bucket: str, key: str) -> bytes:
    """A small artifact, such as the manifest."""
    return bytes(client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
