"""The worker in template.yaml: what its container may do, how it is stopped, what decides its number."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest

from gpu_container import health, protection, worker
from infra.clients import client
from tests.template import Resources, names_in, of_type, template


@pytest.fixture(scope="module")
def resources() -> Resources:
    return dict(template()["Resources"])


@pytest.fixture(scope="module")
def task(resources: Resources) -> dict[str, Any]:
    (found,) = of_type(resources, "AWS::ECS::TaskDefinition").values()
    return found


@pytest.fixture(scope="module")
def container(task: dict[str, Any]) -> dict[str, Any]:
    (found,) = task["ContainerDefinitions"]
    return dict(found)


def test_the_container_can_change_nothing_but_its_scratch_folder(container: dict[str, Any]) -> None:
    assert container["ReadonlyRootFilesystem"] is True
    assert "MountPoints" not in container
    (scratch,) = container["LinuxParameters"]["Tmpfs"]
    assert scratch["ContainerPath"] == "/tmp"
    assert {"nosuid", "nodev"} <= set(scratch["MountOptions"])


def test_the_container_has_no_power_over_its_machine(task: dict[str, Any], container: dict[str, Any]) -> None:
    user, _, group = container["User"].partition(":")
    assert int(user) >= 1000
    assert int(group) >= 1000
    assert container["Privileged"] is False
    assert container["DockerSecurityOptions"] == ["no-new-privileges"]
    assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert task["NetworkMode"] != "host"
    assert not {"Volumes", "PidMode", "IpcMode"} & set(task)


def test_the_machines_role_is_out_of_a_containers_reach(resources: Resources) -> None:
    (launch,) = of_type(resources, "AWS::EC2::LaunchTemplate").values()
    options = launch["LaunchTemplateData"]["MetadataOptions"]
    assert options == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}


def test_a_worker_is_given_the_time_that_it_takes_to_hand_a_job_back(
    resources: Resources, container: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    call = client.__wrapped__("sqs").meta.config.read_timeout
    assert worker.RECEIVE_SECONDS < call < worker.STOP_SECONDS
    needed = worker.STOP_SECONDS + protection.TIMEOUT_SECONDS
    assert needed <= container["StopTimeout"] <= 120, "two minutes is what ECS gives, and what spot gives"
    assert f"ECS_CONTAINER_STOP_TIMEOUT={container['StopTimeout']}s" in user_data(resources)


def test_a_machine_that_spot_takes_back_tells_its_worker(resources: Resources) -> None:
    assert "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true" in user_data(resources)
    (provider,) = of_type(resources, "AWS::ECS::CapacityProvider").values()
    assert provider["AutoScalingGroupProvider"]["ManagedDraining"] == "ENABLED"


def test_a_machine_joins_the_cluster_that_the_service_is_in(resources: Resources) -> None:
    (cluster,) = of_type(resources, "AWS::ECS::Cluster").values()
    assert cluster["ClusterName"] == {"Ref": "Name"}
    assert "ECS_CLUSTER=${Name}\n" in user_data(resources)


def user_data(resources: Resources) -> str:
    (launch,) = of_type(resources, "AWS::EC2::LaunchTemplate").values()
    return str(launch["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"])


def test_the_health_check_asks_the_worker_and_believes_it_for_a_while(container: dict[str, Any]) -> None:
    check = container["HealthCheck"]
    kind, python, flag, module = check["Command"]
    assert (kind, python, flag) == ("CMD", "python", "-m")
    assert callable(importlib.import_module(module).main)
    assert health.BEAT_SECONDS < health.STUCK_SECONDS
    assert 5 <= check["Interval"] <= 300
    assert 2 <= check["Timeout"] < check["Interval"]
    assert check["StartPeriod"] == 300, (
        "the longest there is: weights are loaded and kernels compiled meanwhile"
    )


def test_one_worker_fills_one_machine(resources: Resources, container: dict[str, Any]) -> None:
    assert container["ResourceRequirements"] == [{"Type": "GPU", "Value": "1"}]
    (fleet,) = of_type(resources, "AWS::AutoScaling::AutoScalingGroup").values()
    (target,) = of_type(resources, "AWS::ApplicationAutoScaling::ScalableTarget").values()
    assert fleet["MaxSize"] == {"Ref": "MaxWorkers"}
    assert "MaxWorkers" in names_in(target["MaxCapacity"])
    overrides = fleet["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]
    # One GPU and 16 GiB each, of which the system takes a part.
    assert [each["InstanceType"] for each in overrides] == ["g6.xlarge", "g5.xlarge", "g4dn.xlarge"]
    assert container["MemoryReservation"] < container["Memory"] < 15.5 * 1024


def test_spot_comes_first_and_on_demand_as_far_as_it_is_asked_for(resources: Resources) -> None:
    (fleet,) = of_type(resources, "AWS::AutoScaling::AutoScalingGroup").values()
    shares = fleet["MixedInstancesPolicy"]["InstancesDistribution"]
    assert shares["OnDemandBaseCapacity"] == {"Ref": "OnDemandFloor"}
    assert shares["OnDemandPercentageAboveBaseCapacity"] == {"Ref": "OnDemandShare"}
    parameters = template()["Parameters"]
    assert (parameters["OnDemandFloor"]["Default"], parameters["OnDemandShare"]["Default"]) == (0, 0)


def test_a_machine_with_a_worker_on_it_is_not_scaled_in(resources: Resources) -> None:
    (fleet,) = of_type(resources, "AWS::AutoScaling::AutoScalingGroup").values()
    (provider,) = of_type(resources, "AWS::ECS::CapacityProvider").values()
    given = provider["AutoScalingGroupProvider"]
    assert given["ManagedTerminationProtection"] == "ENABLED"
    assert fleet["NewInstancesProtectedFromScaleIn"] is True, "which the former requires"
    assert given["ManagedScaling"]["Status"] == "ENABLED"
    assert fleet["MinSize"] == "0"


def test_workers_are_counted_by_jobs_that_wait_and_jobs_that_run(resources: Resources) -> None:
    (policy,) = [
        policy
        for policy in scaling(resources, "TargetTrackingScaling")
        if policy["TargetValue"] == {"Ref": "BacklogPerWorker"}
    ]
    read = read_by(policy)
    assert read.pop("ApproximateNumberOfMessagesVisible") == {"JobQueue"}
    assert read.pop("ApproximateNumberOfMessagesNotVisible") == {"JobQueue"}
    assert list(read.values()) == [{"Cluster", "WorkerService"}], "and are held against workers"


def test_scaling_looks_at_its_own_queue_and_its_own_workers_alone(resources: Resources) -> None:
    for policy in scaling(resources, "TargetTrackingScaling"):
        assert set().union(*read_by(policy).values()) == {"JobQueue", "Cluster", "WorkerService"}
        metrics = policy["CustomizedMetricSpecification"]["Metrics"]
        (answer,) = [metric for metric in metrics if metric["ReturnData"]]
        assert identifiers(answer["Expression"]) == {metric["Id"] for metric in metrics if metric is not answer}
        assert not policy.get("DisableScaleIn"), "one policy that keeps workers keeps them for all"


def read_by(policy: dict[str, Any]) -> dict[str, set[str]]:
    """Per metric that a policy reads, what it is of."""
    metrics = policy["CustomizedMetricSpecification"]["Metrics"]
    return {name: set(names_in(stat["Metric"]["Dimensions"])) for name, stat in stats(metrics).items()}


def test_the_first_worker_comes_when_a_job_waits_and_none_is_wanted(resources: Resources) -> None:
    (policy,) = scaling(resources, "StepScaling")
    assert policy["AdjustmentType"] == "ExactCapacity"
    assert [step["ScalingAdjustment"] for step in policy["StepAdjustments"]] == [1]
    alarm = of_type(resources, "AWS::CloudWatch::Alarm")["FirstWorkerAlarm"]
    assert alarm["AlarmActions"] == [{"Ref": "FirstWorkerPolicy"}]
    assert set(stats(alarm["Metrics"])) == {"ApproximateNumberOfMessagesVisible", "DesiredTaskCount"}
    assert {stat["Period"] for stat in stats(alarm["Metrics"]).values()} == {60}
    assert alarm["EvaluationPeriods"] == 1


def scaling(resources: Resources, kind: str) -> list[dict[str, Any]]:
    """Every policy of a kind; all of them move the same target."""
    policies = of_type(resources, "AWS::ApplicationAutoScaling::ScalingPolicy").values()
    found = [policy for policy in policies if policy["PolicyType"] == kind]
    assert all(policy["ScalingTargetId"] == {"Ref": "WorkerScaling"} for policy in found)
    return [dict(policy[f"{kind}PolicyConfiguration"]) for policy in found]


def stats(metrics: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Per metric that is read, how."""
    found = [metric["MetricStat"] for metric in metrics if "MetricStat" in metric]
    return {stat["Metric"]["MetricName"]: stat for stat in found}


def identifiers(expression: str) -> set[str]:
    """Ids in a metric's expression; functions are in capitals."""
    return set(re.findall(r"\b[a-z]\w*", expression))
