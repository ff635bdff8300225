"""``make deploy``: from this checkout to a site that anyone can open. See docs/operations.md, Deploy.

    python -m infra.deployment.deploy --stack maquette --region us-east-1

Everything that can fail on this machine comes first: tools and credentials are looked at, you are asked, the
site, the functions and the worker's image are built. Only then does anything change in the account:

    first time     stack without workers → image → stack with workers → site
    from then on   image → stack, whose workers take the new image → site

Each step looks at what is there and does what is missing, so an interrupted deployment is finished by running
it again, and a finished one is left as it is.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.deployment import checks, configuration, keys, site, stack, target, worker_image
from infra.deployment.configuration import Configuration
from infra.deployment.console import confirm, end, say
from infra.deployment.stack import Stack
from infra.deployment.target import Target
from infra.errors import BuildFailed, StackFailed

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Checkout:
    """What is deployed."""

    root: Path = ROOT

    @property
    def template(self) -> Path:
        return self.root / "template.yaml"

    @property
    def site(self) -> Path:
        return self.root / "web" / "dist"


@dataclass
class Ready:
    """All checks passed: what will be done with what."""

    target: Target
    stack: Stack | None
    sam: str
    #: None: the image is in the repository already
    builder: str | None
    image_tag: str
    configuration: Configuration
    #: a value for each of the template's, but for those that name keys
    parameters: dict[str, str]


def look(checkout: Checkout, given: argparse.Namespace) -> Ready:
    """Check tools, configuration, credentials and the stack's state.

    Raises:
        MaquetteError: one thing is in the way.
        NotReady: several are.
    """
    problems = checks.Problems()
    wanted, sam, where, found, builder, image_tag = Configuration(), "", None, None, None, ""
    declared = configuration.declared_parameters(checkout.template)
    with problems.collected():
        target.check_name(given.stack)
    with problems.collected():
        file = given.config or checkout.root / "deployment.toml"
        wanted = configuration.read(file, declared, required=given.config is not None)
    with problems.collected():
        sam = checks.find_sam(checkout.root)
    with problems.collected():
        checks.check_node()
    with problems.collected():
        image_tag = worker_image.tag(checkout.root, wanted.image)
    with problems.collected():
        where = target.find(given.stack, region=given.region, profile=given.profile)
        found = checks.find_stack(where)
        checks.check_leftovers(where, found)
    with problems.collected():
        if not (where and found and worker_image.is_there(where, found.output("RepositoryUri"), image_tag)):
            builder = checks.find_builder(wanted.builder)
    if problems or where is None:
        problems.tell()
    ours = {"Name": given.stack, "ImageTag": image_tag}
    return Ready(
        where, found, sam, builder, image_tag, wanted, configuration.complete(declared, wanted.parameters, ours)
    )


def deploy(checkout: Checkout, given: argparse.Namespace) -> None:
    """All of it; prints what it does, and the site's address at the end."""
    ready = look(checkout, given)
    _announce(ready)
    confirm("Go on? (yes)", yes=given.yes)
    say("Building the site and the functions …")
    _make(checkout.root, "web", "lambda")
    files = site.read(checkout.site)
    local = f"{ready.target.name}-worker:{ready.image_tag}"
    if ready.builder:
        say(f"Building the worker's image {local} …")
        wanted = ready.configuration
        worker_image.build(ready.builder, checkout.root, local, wanted.image, wanted.models)
        if worker_image.tag(checkout.root, wanted.image) != ready.image_tag:
            raise BuildFailed("Files changed while the image was built of them. Run the same command again.")
    parameters = ready.parameters | _keys(ready)
    there = ready.stack
    if there is None:
        say(f"Making the stack {ready.target.name}, without workers …")
        there, _ = stack.deploy(ready.target, ready.sam, checkout.template, parameters | {"ImageTag": ""})
    if ready.builder:
        say(f"Sending the image to {there.output('RepositoryUri')} …")
        worker_image.push(ready.target, ready.builder, local, there.output("RepositoryUri"), ready.image_tag)
    say("Making the stack what the template says …")
    made, changed = stack.deploy(ready.target, ready.sam, checkout.template, parameters)
    _check_service(ready, made)
    changes = _upload(ready, made, files)
    _tell(ready, made, changes, changed=changed or ready.builder is not None)


def _announce(ready: Ready) -> None:
    verb = "change" if ready.stack else "make"
    say(f"This will {verb} {ready.target}.")
    for name, value in ready.configuration.parameters.items():
        say(f"  {name} = {value}")
    for wanted, text in (
        (ready.configuration.links, "models go out through CloudFront, by signed links"),
        (ready.configuration.access_key, "only who knows the access key may begin a session"),
    ):
        if wanted:
            say(f"  {text}")
    image = f"to be built by {Path(ready.builder).name}" if ready.builder else "there already"
    say(f"  worker's image {ready.image_tag}: {image}")
    for note in checks.quota_notes(ready.target):
        say(note)


def _make(root: Path, *goals: str) -> None:
    # Another make may have started us: what it was asked is not what this one is.
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    command = ["make", "--no-print-directory", *goals]
    ended = subprocess.run(command, cwd=root, env=environment, check=False)
    if ended.returncode != 0:
        raise BuildFailed(f"'make {' '.join(goals)}' failed; see above. Nothing was changed in the account.")


def _keys(ready: Ready) -> dict[str, str]:
    """Parameters that name keys; makes those that are asked for and not there."""
    parameters = {"LinkPublicKey": "", "LinkSecretArn": ""}
    if ready.configuration.links:
        pair = keys.link_key(ready.target)
        parameters |= {"LinkPublicKey": pair.public_key, "LinkSecretArn": pair.secret_arn}
    if ready.configuration.access_key:
        parameters["AccessKeySecretArn"] = keys.access_key(ready.target)
    return parameters


def _check_service(ready: Ready, made: Stack) -> None:
    """The service must have taken the image: its next task starts with it."""
    ecs = ready.target.client("ecs")
    services = ecs.describe_services(cluster=made.output("ClusterName"), services=[made.output("ServiceName")])
    definition = ecs.describe_task_definition(taskDefinition=services["services"][0]["taskDefinition"])
    images = [container["image"] for container in definition["taskDefinition"]["containerDefinitions"]]
    wanted = f"{made.output('RepositoryUri')}:{ready.image_tag}"
    if wanted not in images:
        raise StackFailed(
            f"The service starts {images[0]}, not {wanted}. Look at its events in the ECS console."
        )


def _upload(ready: Ready, made: Stack, files: Mapping[str, bytes]) -> site.Changes:
    say("Sending the site …")
    places = site.configuration(rest=made.output("RestUrl"), socket=made.output("SocketUrl"))
    return site.upload(
        {**files, site.CONFIG: places},
        s3=ready.target.client("s3"),
        bucket=made.output("SiteBucketName"),
        cloudfront=ready.target.client("cloudfront"),
        distribution=made.output("DistributionId"),
    )


def _tell(ready: Ready, made: Stack, changes: site.Changes, *, changed: bool) -> None:
    say(
        f"The site: {len(changes.sent)} files sent, {len(changes.marked)} old ones marked, "
        f"{len(changes.removed)} removed."
    )
    if not changed and not changes:
        say("Nothing to change: everything was there already.")
    if ready.configuration.access_key:
        profile = f" --profile {ready.target.profile}" if ready.target.profile else ""
        say("The access key: aws secretsmanager get-secret-value --query SecretString --output text \\")
        say(f"  --region {ready.target.region}{profile} --secret-id {keys.access_key_name(ready.target.name)}")
    say(made.output("SiteUrl"))


def add_target_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that say where, the same for :mod:`infra.deployment.destroy`."""
    parser.add_argument("--stack", default="maquette", help="name of the stack, and prefix of every name in it")
    parser.add_argument("--region", help="region; otherwise the profile's or $AWS_REGION")
    parser.add_argument("--profile", help="profile of the AWS configuration; otherwise $AWS_PROFILE")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make deploy", description="Put Maquette into an AWS account.")
    add_target_flags(parser)
    parser.add_argument(
        "--config", type=Path, help="what differs from the defaults [deployment.toml, if there]"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    given = parse(sys.argv[1:] if arguments is None else arguments)
    end(lambda: deploy(Checkout(), given))


if __name__ == "__main__":
    main()
