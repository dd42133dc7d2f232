"""What `ray up cluster.yaml` needs of an AWS account, made once: a security group, two roles, two launch templates.

Ray opens SSH to every address in each security group it makes itself (`_create_default_ssh_inbound_rules` in its
`autoscaler/_private/aws/config.py`), gives the head full access to EC2 and S3, and takes an image of Ubuntu 18.04. The
launch templates name a group, roles and an image of our own instead; without them `ray up` refuses to start. The head
may start, tag and end instances of the clusters alone whose names were prepared.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

from tuner import cli
from tuner.errors import ConfigError, ResourceError

GROUP = "tuner"
HEAD, WORKER = "tuner-head", "tuner-worker"
"""Names of the launch templates, and of the roles and instance profiles in them."""
IMAGE = "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) *"
"""Amazon's own images with the driver of the GPUs and nothing more; the newest is taken."""
_WIDEST_PREFIX = 8
"""A range of more addresses than a /8 is no restriction."""
_INSTANCES = "arn:aws:ec2:*:*:instance/*"
_CLUSTER_TAG = "ray-cluster-name"
"""By this tag Ray knows the instances of a cluster; it gives it to each in the very call that starts it."""
_STARTED_AS = f"aws:RequestTag/{_CLUSTER_TAG}"
_POLICY = "tuner"
"""Name of each role's policy."""


@dataclass(frozen=True)
class Arguments:
    """Make, or bring up to date, what cluster.yaml needs in an AWS account; credentials come from the environment."""

    ssh_from: str
    """Addresses that may reach the nodes by SSH, such as 203.0.113.7/32; nothing else is open to the outside."""
    bucket: str
    """The S3 bucket for the runs (--storage s3://BUCKET/runs); the nodes may read and write it, and no other."""
    cluster: Path = Path("cluster.yaml")
    """Where the region and the cluster's name are read from."""


def prepare(arguments: Arguments) -> list[str]:
    """Make or update everything; return a line for each thing.

    The head keeps its rights over clusters of other names that were prepared earlier: one may be running.

    Raises:
        ConfigError: if the range is none, or as good as everybody, or there is no file of the cluster.
        ResourceError: if AWS refuses, with its reason.
    """
    ssh_from = checked_range(arguments.ssh_from)
    if not arguments.cluster.is_file():
        raise ConfigError(
            f"--cluster is {str(arguments.cluster)!r}, but must be the file of a cluster, as cluster.yaml."
        )
    cluster = yaml.safe_load(arguments.cluster.read_text(encoding="utf-8"))
    region, name_of_cluster = cluster["provider"]["region"], cluster["cluster_name"]
    try:
        ec2, iam = boto3.client("ec2", region_name=region), boto3.client("iam", region_name=region)
        group = _security_group(ec2, ssh_from)
        image = _newest_image(ec2)
        _role(iam, WORKER, [_use_bucket(arguments.bucket)])
        clusters = sorted({*_prepared_clusters(iam), name_of_cluster})
        _role(iam, HEAD, [_use_bucket(arguments.bucket), *_start_workers(iam, clusters)])
        for name in (HEAD, WORKER):
            _launch_template(ec2, name, group, image)
    except (BotoCoreError, ClientError) as error:
        raise ResourceError(f"AWS refuses in region {region}: {error}") from error
    return [
        f"security group   {GROUP} ({group}): SSH from {ssh_from}, everything among the nodes",
        f"roles            {HEAD}, {WORKER}: read and write s3://{arguments.bucket}",
        f"role             {HEAD}: start and end nodes of the clusters named {', '.join(clusters)}, and of no other",
        f"launch templates {HEAD}, {WORKER}: image {image}",
    ]


def checked_range(text: str) -> str:
    """Return an IPv4 range in its usual form; raises ConfigError if it is none, or wider than a /8."""
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError as error:
        raise ConfigError(f"--ssh-from is {text!r}, but must be a range such as 203.0.113.7/32: {error}.") from error
    if network.prefixlen < _WIDEST_PREFIX:
        raise ConfigError(f"--ssh-from is {text!r}, but must be your own addresses: a /{_WIDEST_PREFIX} or narrower.")
    return str(network)


def _security_group(ec2: Any, ssh_from: str) -> str:
    """Return the id of the group in the region's default network, with exactly our rules."""
    networks = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not networks:
        raise ResourceError("the region has no default VPC: make one with aws ec2 create-default-vpc.")
    network = networks[0]["VpcId"]
    known = ec2.describe_security_groups(
        Filters=[{"Name": "group-name", "Values": [GROUP]}, {"Name": "vpc-id", "Values": [network]}]
    )["SecurityGroups"]
    if known:
        group: str = known[0]["GroupId"]
        if known[0]["IpPermissions"]:
            ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=known[0]["IpPermissions"])
    else:
        description = "Nodes of tuner: SSH from the user, everything among themselves"
        group = ec2.create_security_group(GroupName=GROUP, Description=description, VpcId=network)["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]},
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": ssh_from}]},
        ],
    )
    return group


def _newest_image(ec2: Any) -> str:
    filters = {"name": IMAGE, "architecture": "x86_64", "state": "available"}
    images = ec2.describe_images(
        Owners=["amazon"], Filters=[{"Name": name, "Values": [value]} for name, value in filters.items()]
    )["Images"]
    if not images:
        raise ResourceError(f"the region has no image named {IMAGE!r}.")
    newest: str = max(images, key=lambda image: str(image["CreationDate"]))["ImageId"]
    return newest


def _role(iam: Any, name: str, statements: list[dict[str, Any]]) -> None:
    """Make the role and its instance profile, or replace what the role allows."""
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy([trust]))
    iam.put_role_policy(RoleName=name, PolicyName=_POLICY, PolicyDocument=_policy(statements))
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_instance_profile(InstanceProfileName=name)
    # Apart: an earlier call may have come so far and no further. A profile that has its role can take no other.
    with contextlib.suppress(iam.exceptions.LimitExceededException):
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def _policy(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _use_bucket(bucket: str) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Action": ["s3:ListBucket", "s3:GetBucketLocation", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }


def _prepared_clusters(iam: Any) -> set[str]:
    """Return the names of the clusters whose instances the head may start already."""
    try:
        policy = iam.get_role_policy(RoleName=HEAD, PolicyName=_POLICY)["PolicyDocument"]
    except iam.exceptions.NoSuchEntityException:
        return set()
    conditions = (statement.get("Condition", {}) for statement in policy["Statement"])
    found = [condition.get("StringEquals", {}).get(_STARTED_AS, []) for condition in conditions]
    return {name for names in found for name in ([names] if isinstance(names, str) else names)}


def _start_workers(iam: Any, clusters: list[str]) -> list[dict[str, Any]]:
    """Return what Ray's autoscaler needs (`autoscaler/_private/aws/node_provider.py`), for these clusters alone."""
    worker = iam.get_role(RoleName=WORKER)["Role"]["Arn"]
    return [
        {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"},
        # Asked of all that a start uses, as image, subnet, disk and key; without the instance it is good for nothing.
        {"Effect": "Allow", "Action": "ec2:RunInstances", "NotResource": _INSTANCES},
        _where("ec2:RunInstances", _INSTANCES, _STARTED_AS, clusters),
        _where("ec2:CreateTags", "*", "ec2:CreateAction", ["RunInstances"]),
        # Ray notes in tags how far a node is. Another instance may not get any: it could be made one of the cluster.
        *(
            _where(action, _INSTANCES, f"aws:ResourceTag/{_CLUSTER_TAG}", clusters)
            for action in ("ec2:CreateTags", "ec2:TerminateInstances")
        ),
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": worker},
        _where("iam:CreateServiceLinkedRole", "*", "iam:AWSServiceName", ["spot.amazonaws.com"]),
    ]


def _where(action: str, resource: str, key: str, values: list[str]) -> dict[str, Any]:
    """Return a statement that allows an action where the request's context has one of these values."""
    condition = {"StringEquals": {key: values}}
    return {"Effect": "Allow", "Action": action, "Resource": resource, "Condition": condition}


def _launch_template(ec2: Any, name: str, group: str, image: str) -> None:
    """Make the template, or a new version of it that counts from now on."""
    data = {
        "ImageId": image,
        "SecurityGroupIds": [group],
        "IamInstanceProfile": {"Name": name},
        "MetadataOptions": {"HttpTokens": "required"},
    }
    filters = [{"Name": "launch-template-name", "Values": [name]}]
    if not ec2.describe_launch_templates(Filters=filters)["LaunchTemplates"]:
        ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
        return
    made = ec2.create_launch_template_version(LaunchTemplateName=name, LaunchTemplateData=data)
    version = str(made["LaunchTemplateVersion"]["VersionNumber"])
    ec2.modify_launch_template(LaunchTemplateName=name, DefaultVersion=version)


def run(argv: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    arguments = cli.parse(Arguments, sys.argv[1:] if argv is None else argv, prog="python -m cluster.prepare_aws")
    for line in prepare(arguments):
        print(line)


if __name__ == "__main__":
    cli.main(run)
