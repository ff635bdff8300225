"""How the fleet of workers grows and shrinks: the numbers, read from template.yaml itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from infra.errors import BadConfiguration
from infra.job import MAX_ATTEMPTS
from infra.settings import Settings

#: whose prices there are
REGION = "us-east-1"

_WAITING = {"ApproximateNumberOfMessagesVisible"}
_UNDER_WAY = {"ApproximateNumberOfMessagesNotVisible"}


@dataclass(frozen=True)
class Tracking:
    """One target tracking policy: jobs per worker, and how many there should be. Times in seconds."""

    target: float
    #: waiting jobs count as well as those under way
    counts_waiting: bool
    #: by which workers jobs are divided: those that run, or those that are wanted
    per: Literal["running", "wanted"]
    scale_out_cooldown: float
    scale_in_cooldown: float


@dataclass(frozen=True)
class ScalingPolicy:
    """What template and code say of the fleet. Times in seconds; a worker is a task, alone on its machine."""

    min_workers: int
    max_workers: int
    trackings: tuple[Tracking, ...]
    #: the alarm for messages that nobody comes for: so many, for so many minutes
    first_worker_messages: int
    first_worker_periods: int
    first_worker_cooldown: float
    #: machines that are never spot, and the share of the others that is not either, 0..1
    on_demand_floor: int
    on_demand_share: float
    #: machines that the capacity provider adds at once, at most
    largest_step: int
    #: whether another machine is started at the notice of an interruption, not after it
    rebalances: bool
    attempts: int
    lease_seconds: float
    deadline_seconds: float


@dataclass(frozen=True)
class Standing:
    """What the template lets stand whether photos come or not, as far as it costs."""

    #: metrics that all alarms look at together, those that AWS makes for tracking and for machines included
    alarm_metrics: int
    dashboards: int
    secrets: int
    #: interface endpoints times the zones they are in
    endpoint_zones: int
    volume_gib: float
    container_insights: bool
    #: worker machines have public addresses
    public_addresses: bool
    #: memory of a function
    function_gb: float
    #: records of the table's stream in one call, at most, and calls at once per part of the stream
    stream_batch: float
    stream_batches: float
    #: requests, and messages that come in, a second
    rest_rate: float
    socket_rate: float


class Plan:
    """The template's resources with every number in its place.

    Args:
        path: the template; left out, the project's.
        parameters: values other than its defaults, by the names of the template.

    Raises:
        BadConfiguration: there is no template, or not a valid one.
    """

    def __init__(self, path: Path | None = None, /, **parameters: object) -> None:
        from infra.local.template import TEMPLATE, Resolver, load

        template = load(path or TEMPLATE, region=REGION)
        self._resources: dict[str, Any] = template["Resources"]
        self._resolver = Resolver(
            template,
            pseudo={
                "AWS::AccountId": "123456789012",
                "AWS::Region": REGION,
                "AWS::Partition": "aws",
                "AWS::URLSuffix": "amazonaws.com",
                "AWS::StackName": "maquette",
            },
            # Without an image there are no workers; a deployment that is asked about has one.
            parameters={"ImageTag": "image", **{name: str(value) for name, value in parameters.items()}},
            reference=lambda name: name,
            attribute=lambda name, attribute: f"{name}.{attribute}",
        )

    def value(self, resource: str, *path: str) -> Any:
        """One property of one resource. Raises :class:`BadConfiguration` where there is none."""
        try:
            value = self._resources[resource]["Properties"]
            for name in path:
                value = value[name]
        except (KeyError, TypeError):
            raise BadConfiguration(f"The template has no {'.'.join((resource, *path))}.") from None
        return self._resolver.resolve(value)

    def of_type(self, kind: str) -> list[str]:
        """Names of the resources of a type that the conditions let stand."""
        return [
            name
            for name, it in self._resources.items()
            if it["Type"] == kind and ("Condition" not in it or self._resolver.holds(it["Condition"]))
        ]


def scaling(plan: Plan) -> ScalingPolicy:
    """The fleet's numbers.

    Raises:
        BadConfiguration: the template scales in a way that this does not know.
    """
    step = plan.value("FirstWorkerPolicy", "StepScalingPolicyConfiguration")
    bought = plan.value("WorkerFleet", "MixedInstancesPolicy", "InstancesDistribution")
    managed = plan.value("WorkerCapacity", "AutoScalingGroupProvider", "ManagedScaling")
    to_one = [it["ScalingAdjustment"] for it in step["StepAdjustments"]] == [1]
    if step["AdjustmentType"] != "ExactCapacity" or not to_one or managed["TargetCapacity"] != 100:
        raise BadConfiguration(
            "The simulation knows one step, to exactly one worker, and machines without slack."
        )
    worker = _worker(plan)
    return ScalingPolicy(
        min_workers=int(plan.value("WorkerScaling", "MinCapacity")),
        max_workers=min(
            int(plan.value("WorkerScaling", "MaxCapacity")), int(plan.value("WorkerFleet", "MaxSize"))
        ),
        trackings=tuple(_tracking(plan, name) for name in _trackings(plan)),
        first_worker_messages=int(plan.value("FirstWorkerAlarm", "Threshold")),
        first_worker_periods=int(plan.value("FirstWorkerAlarm", "EvaluationPeriods")),
        first_worker_cooldown=float(step["Cooldown"]),
        on_demand_floor=int(bought["OnDemandBaseCapacity"]),
        on_demand_share=float(bought["OnDemandPercentageAboveBaseCapacity"]) / 100.0,
        largest_step=int(managed["MaximumScalingStepSize"]),
        rebalances=bool(plan.value("WorkerFleet", "CapacityRebalance")),
        attempts=min(MAX_ATTEMPTS, int(plan.value("JobQueue", "RedrivePolicy", "maxReceiveCount"))),
        lease_seconds=worker.lease_seconds,
        deadline_seconds=worker.job_deadline_seconds,
    )


def standing(plan: Plan) -> Standing:
    """What is there around the clock."""
    volumes = plan.value("WorkerLaunchTemplate", "LaunchTemplateData", "BlockDeviceMappings")
    settings = plan.value("Cluster", "ClusterSettings")
    endpoints = plan.of_type("AWS::EC2::VPCEndpoint")
    subnets = plan.of_type("AWS::EC2::Subnet")
    (stream,) = plan.of_type("AWS::Lambda::EventSourceMapping")
    (stage,) = plan.of_type("AWS::ApiGateway::Stage")
    return Standing(
        alarm_metrics=sum(_metrics_of(plan, name) for name in plan.of_type("AWS::CloudWatch::Alarm"))
        + sum(2 * len(_counted(_tracked(plan, name))) for name in _trackings(plan))
        + 2,
        dashboards=len(plan.of_type("AWS::CloudWatch::Dashboard")),
        secrets=len(plan.of_type("AWS::SecretsManager::Secret")),
        endpoint_zones=sum(
            len(plan.value(name, "SubnetIds"))
            for name in endpoints
            if plan.value(name, "VpcEndpointType") == "Interface"
        ),
        volume_gib=float(sum(it["Ebs"]["VolumeSize"] for it in volumes)),
        container_insights=any(
            it["Name"] == "containerInsights" and it["Value"] != "disabled" for it in settings
        ),
        public_addresses=any(plan.value(name, "MapPublicIpOnLaunch") for name in subnets),
        function_gb=float(plan.value("ApiFunction", "MemorySize")) / 1024.0,
        stream_batch=float(plan.value(stream, "BatchSize")),
        stream_batches=float(plan.value(stream, "ParallelizationFactor")),
        rest_rate=float(plan.value(stage, "MethodSettings")[0]["ThrottlingRateLimit"]),
        socket_rate=float(plan.value("SocketStage", "DefaultRouteSettings", "ThrottlingRateLimit")),
    )


def _trackings(plan: Plan) -> list[str]:
    """Names of the target tracking policies."""
    policies = plan.of_type("AWS::ApplicationAutoScaling::ScalingPolicy")
    return [name for name in policies if plan.value(name, "PolicyType") == "TargetTrackingScaling"]


def _tracked(plan: Plan, name: str) -> list[dict[str, Any]]:
    return list(
        plan.value(name, "TargetTrackingScalingPolicyConfiguration", "CustomizedMetricSpecification", "Metrics")
    )


def _counted(metrics: list[dict[str, Any]]) -> list[str]:
    """Names of the metrics that an expression is made of."""
    return [it["MetricStat"]["Metric"]["MetricName"] for it in metrics if "MetricStat" in it]


def _tracking(plan: Plan, name: str) -> Tracking:
    said = plan.value(name, "TargetTrackingScalingPolicyConfiguration")
    names = set(_counted(_tracked(plan, name)))
    workers = names & {"RunningTaskCount", "DesiredTaskCount"}
    jobs = names - workers
    if len(workers) != 1 or not _UNDER_WAY <= jobs <= _UNDER_WAY | _WAITING:
        raise BadConfiguration(f"{name} tracks metrics that the simulation does not know: {sorted(names)}.")
    return Tracking(
        target=float(said["TargetValue"]),
        counts_waiting=jobs >= _WAITING,
        per="running" if workers == {"RunningTaskCount"} else "wanted",
        scale_out_cooldown=float(said["ScaleOutCooldown"]),
        scale_in_cooldown=float(said["ScaleInCooldown"]),
    )


def _metrics_of(plan: Plan, alarm: str) -> int:
    """How many metrics an alarm is paid for: each one that it looks at."""
    try:
        metrics = plan.value(alarm, "Metrics")
    except BadConfiguration:
        return 1  # of a single metric, named by the alarm itself
    return len(_counted(metrics))


def _worker(plan: Plan) -> Settings:
    """The worker's settings: what the template sets, and the code's own for the rest."""
    (container,) = plan.value("WorkerTask", "ContainerDefinitions")
    return Settings({it["Name"]: str(it["Value"]) for it in container["Environment"]})
