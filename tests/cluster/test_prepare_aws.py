from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from cluster.prepare_aws import HEAD, WORKER, Arguments, checked_range, prepare
from tuner.errors import ConfigError

CLUSTER = Path(__file__).resolve().parents[2] / "cluster.yaml"


def _prepare(ssh_from: str) -> Any:
    prepare(Arguments(ssh_from, "some-bucket", CLUSTER))
    return boto3.client("ec2", region_name="us-west-2")


def _rules(ec2: Any) -> list[tuple[str, list[str], int]]:
    [group] = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["tuner"]}])["SecurityGroups"]
    return [
        (rule["IpProtocol"], [span["CidrIp"] for span in rule["IpRanges"]], len(rule["UserIdGroupPairs"]))
        for rule in group["IpPermissions"]
    ]


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
    iam = boto3.client("iam", region_name="us-west-2")
    document = iam.get_role_policy(RoleName=WORKER, PolicyName="tuner")["PolicyDocument"]
    [statement] = (json.loads(document) if isinstance(document, str) else document)["Statement"]
    assert statement["Resource"] == ["arn:aws:s3:::some-bucket", "arn:aws:s3:::some-bucket/*"]
    assert all(action.startswith("s3:") for action in statement["Action"])


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
