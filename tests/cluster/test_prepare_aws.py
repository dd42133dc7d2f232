from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import pytest
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

from cluster.prepare_aws import HEAD, WORKER, Arguments, checked_range, prepare
from tuner.errors import ConfigError

CLUSTER = Path(__file__).resolve().parents[2] / "cluster.yaml"
ACCOUNT = "123456789012"
INSTANCE = f"arn:aws:ec2:us-west-2:{ACCOUNT}:instance/i-0123456789abcdef0"
USED_BY_A_START = [
    "arn:aws:ec2:us-west-2::image/ami-1",
    "arn:aws:ec2:us-west-2::snapshot/snap-1",
    *(
        f"arn:aws:ec2:us-west-2:{ACCOUNT}:{kind}/one"
        for kind in (
            "subnet",
            "network-interface",
            "security-group",
            "key-pair",
            "volume",
            "launch-template",
            "spot-instances-request",
        )
    ),
]


def _prepare(ssh_from: str, cluster: Path = CLUSTER) -> Any:
    prepare(Arguments(ssh_from, "some-bucket", cluster))
    return boto3.client("ec2", region_name="us-west-2")


def _rules(ec2: Any) -> list[tuple[str, list[str], int]]:
    [group] = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["tuner"]}])["SecurityGroups"]
    return [
        (rule["IpProtocol"], [span["CidrIp"] for span in rule["IpRanges"]], len(rule["UserIdGroupPairs"]))
        for rule in group["IpPermissions"]
    ]


def _statements(role: str) -> list[dict[str, Any]]:
    iam = boto3.client("iam", region_name="us-west-2")
    document = iam.get_role_policy(RoleName=role, PolicyName="tuner")["PolicyDocument"]
    found: list[dict[str, Any]] = (json.loads(document) if isinstance(document, str) else document)["Statement"]
    return found


def _allows(statements: list[dict[str, Any]], action: str, resource: str, context: Mapping[str, str]) -> bool:
    """Whether a policy that denies nothing allows a request: AWS's rules, which moto does not enforce."""
    assert {statement["Effect"] for statement in statements} == {"Allow"}
    return any(
        any(fnmatchcase(action, pattern) for pattern in _listed(statement["Action"]))
        and _reaches(statement, resource)
        and all(_holds(operator, of, context) for operator, of in statement.get("Condition", {}).items())
        for statement in statements
    )


def _reaches(statement: Mapping[str, Any], resource: str) -> bool:
    if "NotResource" in statement:
        return not any(fnmatchcase(resource, pattern) for pattern in _listed(statement["NotResource"]))
    return any(fnmatchcase(resource, pattern) for pattern in _listed(statement["Resource"]))


def _holds(operator: str, of: Mapping[str, str | list[str]], context: Mapping[str, str]) -> bool:
    assert operator == "StringEquals"
    return all(context.get(key) in _listed(values) for key, values in of.items())


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_ssh_is_open_to_the_users_range_and_nothing_else_to_the_outside(aws: str) -> None:
    ec2 = _prepare("203.0.113.7/32")
    assert sorted(_rules(ec2)) == [("-1", [], 1), ("tcp", ["203.0.113.7/32"], 0)]


def test_a_second_call_replaces_the_range_and_adds_no_group(aws: str) -> None:
    _prepare("203.0.113.7/32")
    ec2 = _prepare("198.51.100.0/24")
    assert sorted(_rules(ec2)) == [("-1", [], 1), ("tcp", ["198.51.100.0/24"], 0)]
    [template] = ec2.describe_launch_templates(LaunchTemplateNames=[HEAD])["LaunchTemplates"]
    assert template["DefaultVersionNumber"] == 2


def test_the_templates_name_the_newest_image_and_demand_tokens_for_the_roles_keys(aws: str) -> None:
    ec2 = _prepare("203.0.113.7/32")
    [image] = ec2.describe_images()["Images"]
    for name in (HEAD, WORKER):
        [version] = ec2.describe_launch_template_versions(LaunchTemplateName=name)["LaunchTemplateVersions"]
        assert version["LaunchTemplateData"]["ImageId"] == image["ImageId"]
        assert version["LaunchTemplateData"]["MetadataOptions"] == {"HttpTokens": "required"}


def test_a_worker_may_use_the_bucket_and_nothing_else(aws: str) -> None:
    _prepare("203.0.113.7/32")
    [statement] = _statements(WORKER)
    assert statement["Resource"] == ["arn:aws:s3:::some-bucket", "arn:aws:s3:::some-bucket/*"]
    assert all(action.startswith("s3:") for action in statement["Action"])


@pytest.mark.parametrize("tag", [{}, {"ray-cluster-name": "another"}, {"ray-node-type": "worker"}])
def test_the_head_may_neither_start_nor_tag_nor_end_what_is_not_of_its_cluster(aws: str, tag: dict[str, str]) -> None:
    _prepare("203.0.113.7/32")
    head = _statements(HEAD)
    asked = {f"aws:RequestTag/{key}": value for key, value in tag.items()}
    there = {f"aws:ResourceTag/{key}": value for key, value in tag.items()}
    assert not _allows(head, "ec2:RunInstances", INSTANCE, asked)
    for action in ("ec2:TerminateInstances", "ec2:StopInstances", "ec2:StartInstances"):
        assert not _allows(head, action, INSTANCE, there)
    # Not even to make it one of the cluster.
    assert not _allows(head, "ec2:CreateTags", INSTANCE, {**there, "aws:RequestTag/ray-cluster-name": "tuner"})


@pytest.mark.parametrize("name", ["tuner", "a-colleagues"])
def test_the_head_may_do_to_instances_of_every_prepared_cluster_what_rays_autoscaler_does(
    aws: str, tmp_path: Path, name: str
) -> None:
    _prepare("203.0.113.7/32")
    ec2 = _prepare("203.0.113.7/32", _renamed(tmp_path, "a-colleagues"))
    head = _statements(HEAD)
    provider = AWSNodeProvider(  # type: ignore[no-untyped-call]
        {"type": "aws", "region": "us-west-2", "cache_stopped_nodes": False}, name
    )
    calls: list[str] = []

    def checked(params: dict[str, Any], model: Any, **others: Any) -> None:
        calls.append(model.name)
        for action, resource, context in _requests(ec2, model.name, params):
            assert _allows(head, action, resource, context), (action, resource, context)

    events = [resource.meta.client.meta.events for resource in (provider.ec2, provider.ec2_fail_fast)]
    for one in events:
        one.register("provide-client-params.ec2", checked)
    try:
        _start_tag_and_end_a_worker(provider, ec2)
    finally:
        for one in events:  # Ray keeps its clients for whoever comes next
            one.unregister("provide-client-params.ec2", checked)
    assert {"DescribeInstances", "RunInstances", "CreateTags", "TerminateInstances"} <= set(calls)


def _renamed(folder: Path, name: str) -> Path:
    """Write the file of a cluster of another name."""
    text = CLUSTER.read_text()
    assert text.count("\ncluster_name: tuner\n") == 1
    made = folder / "cluster.yaml"
    made.write_text(text.replace("\ncluster_name: tuner\n", f"\ncluster_name: {name}\n"))
    return made


def _start_tag_and_end_a_worker(provider: Any, ec2: Any) -> None:
    config = {
        "ImageId": ec2.describe_images()["Images"][0]["ImageId"],
        "InstanceType": "g6.xlarge",
        "InstanceMarketOptions": {"MarketType": "spot"},
        "SubnetIds": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
    }
    tags = {"ray-node-type": "worker", "ray-node-name": "ray-tuner-worker", "ray-launch-config": "test"}
    provider.create_node(config, tags, 1)
    [worker] = provider.non_terminated_nodes({"ray-node-type": "worker"})
    provider.set_node_tags(worker, {"ray-node-status": "up-to-date"})
    provider.terminate_nodes([worker])
    assert provider.non_terminated_nodes({}) == []


def _requests(ec2: Any, operation: str, params: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield what AWS asks a policy before it carries out a call: action, resource, and the context of both."""
    action = f"ec2:{operation}"
    if operation == "RunInstances":
        [of_the_instance] = params["TagSpecifications"]
        tags = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in of_the_instance["Tags"]}
        yield action, INSTANCE, tags
        for resource in USED_BY_A_START:
            yield action, resource, {}
        yield "ec2:CreateTags", INSTANCE, {**tags, "ec2:CreateAction": "RunInstances"}
    elif operation in ("CreateTags", "TerminateInstances"):
        for name in params["Resources" if operation == "CreateTags" else "InstanceIds"]:
            found = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [name]}])["Tags"]
            yield action, INSTANCE, {f"aws:ResourceTag/{tag['Key']}": tag["Value"] for tag in found}
    else:
        yield action, "*", {}


def test_names_of_clusters_are_kept_once_each_and_told(aws: str, tmp_path: Path) -> None:
    second = _renamed(tmp_path, "a-colleagues")
    for cluster in (CLUSTER, second, CLUSTER):
        told = prepare(Arguments("203.0.113.7/32", "some-bucket", cluster))
    assert any("nodes of the clusters named a-colleagues, tuner, and of no other" in line for line in told)
    conditions = [statement.get("Condition", {}).get("StringEquals", {}) for statement in _statements(HEAD)]
    named = [names for of in conditions for key, names in of.items() if key.endswith("Tag/ray-cluster-name")]
    assert named == [["a-colleagues", "tuner"]] * 3


def test_a_single_name_in_a_policy_that_was_written_by_hand_is_kept(aws: str) -> None:
    _prepare("203.0.113.7/32")
    iam = boto3.client("iam", region_name="us-west-2")
    text = json.dumps({"Version": "2012-10-17", "Statement": _statements(HEAD)}).replace('["tuner"]', '"by-hand"')
    assert text.count('"by-hand"') == 3
    iam.put_role_policy(RoleName=HEAD, PolicyName="tuner", PolicyDocument=text)
    _prepare("203.0.113.7/32")
    assert _allows(_statements(HEAD), "ec2:RunInstances", INSTANCE, {"aws:RequestTag/ray-cluster-name": "by-hand"})


def test_what_an_earlier_call_has_left_half_made_is_completed(aws: str) -> None:
    iam = boto3.client("iam", region_name="us-west-2")
    iam.create_instance_profile(InstanceProfileName=WORKER)
    _prepare("203.0.113.7/32")
    _prepare("203.0.113.7/32")
    roles = iam.get_instance_profile(InstanceProfileName=WORKER)["InstanceProfile"]["Roles"]
    assert [role["RoleName"] for role in roles] == [WORKER]


def test_a_cluster_s_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--cluster is .*absent\.yaml"):
        prepare(Arguments("203.0.113.7/32", "some-bucket", tmp_path / "absent.yaml"))


@pytest.mark.parametrize("everybody", ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/7"])
def test_a_range_of_everybody_is_refused(everybody: str) -> None:
    with pytest.raises(ConfigError, match="--ssh-from"):
        checked_range(everybody)


def test_a_range_that_is_none_is_refused_with_an_example() -> None:
    with pytest.raises(ConfigError, match=r"'home', but must be a range such as 203\.0\.113\.7/32"):
        checked_range("home")


def test_an_address_alone_is_a_range_of_one() -> None:
    assert checked_range("203.0.113.7") == "203.0.113.7/32"
