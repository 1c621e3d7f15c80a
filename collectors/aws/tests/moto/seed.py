"""Fills a fresh moto with an organisation, and prints as JSON what is in it, by account.

What is printed is what was asked for, not what moto answers: tests hold the one against the other.
"""

import json
import os
import urllib.request
from itertools import cycle, islice

import boto3
from botocore.config import Config

MANAGEMENT = "123456789012"
ROLE = "evidenced"
REGIONS = ["us-east-1", "eu-central-1", "ap-southeast-2"]
PASSWORD = "correct-Horse-7-battery"

# Account numbers, key ids and the like are by chance: the same ones each time.
urllib.request.urlopen(
    urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + "/moto-api/seed?a=7", method="POST")
).read()


class Account:
    """An account, seen with credentials that act in it."""

    def __init__(self, number):
        self.number = number
        self.session = boto3.Session(region_name=REGIONS[0])
        if number != MANAGEMENT:
            sts = self.session.client("sts")
            # Moto lets anybody assume any role, also one that is not there yet.
            answer = sts.assume_role(RoleArn=self.arn("iam", f"role/{ROLE}"), RoleSessionName="seed")
            keys = answer["Credentials"]
            self.session = boto3.Session(
                keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], REGIONS[0]
            )
        self.clients = {}

    def client(self, service, region=REGIONS[0]):
        if (service, region) not in self.clients:
            # `s3control` puts the account's number before the host's name. What is no host's name a proxy may still
            # be asked for, and moto answers as if it were one.
            proxies = {"http": os.environ["AWS_ENDPOINT_URL"]} if service == "s3control" else {}
            self.clients[service, region] = self.session.client(
                service, region, config=Config(proxies=proxies)
            )
        return self.clients[service, region]

    def arn(self, service, resource, region=""):
        return f"arn:aws:{service}:{region}:{self.number}:{resource}"

    def role(self):
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{MANAGEMENT}:root"},
                    "Action": "sts:AssumeRole",
                    "Condition": {"StringEquals": {"sts:ExternalId": "evidence"}},
                }
            ],
        }
        made = self.client("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust))
        return made["Role"]["Arn"]

    def password_policy(self, **policy):
        self.client("iam").update_account_password_policy(**policy)
        return policy

    def public_access(self, *flags):
        block = public_access_block(flags)
        self.client("s3control").put_public_access_block(
            AccountId=self.number, PublicAccessBlockConfiguration=block
        )
        return block


# Users


def add_user(account, name, path="/", password=False, mfa=None, keys=(), used=False):
    """`keys` are `Active` or `Inactive`, `mfa` is `virtual` or `hardware`; `used`: the first key was used."""
    iam = account.client("iam")
    arn = iam.create_user(UserName=name, Path=path)["User"]["Arn"]
    if password:
        iam.create_login_profile(UserName=name, Password=PASSWORD)
    devices = []
    if mfa == "virtual":
        made = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)
        devices.append(made["VirtualMFADevice"]["SerialNumber"])
    elif mfa == "hardware":
        devices.append(f"GAHT{len(name):08}")
    for serial in devices:
        iam.enable_mfa_device(
            UserName=name,
            SerialNumber=serial,
            AuthenticationCode1="123456",
            AuthenticationCode2="654321",
        )
    made_keys = []
    for status in keys:
        key = iam.create_access_key(UserName=name)["AccessKey"]
        if used and not made_keys:
            client = boto3.client(
                "sts",
                region_name=REGIONS[0],
                aws_access_key_id=key["AccessKeyId"],
                aws_secret_access_key=key["SecretAccessKey"],
            )
            client.get_caller_identity()
        if status != "Active":
            iam.update_access_key(UserName=name, AccessKeyId=key["AccessKeyId"], Status=status)
        made_keys.append(
            {"id": key["AccessKeyId"], "active": status == "Active", "used": used and not made_keys}
        )
    return {
        "name": name,
        "arn": arn,
        "password_enabled": password,
        "mfa_devices": [{"serial": serial, "kind": mfa} for serial in devices],
        "access_keys": made_keys,
    }


def fifty_users(account):
    paths = cycle(["/", "/engineering/", "/division_abc/sub-division/", "/ops@night/"])
    people = cycle(["ann", "bo+audit", "carl=x", "di,jr", "eve.o", "flo@example.com", "g_h-i", "J"])
    services = cycle([["Active"], ["Inactive"], ["Active", "Active"], ["Active", "Inactive"]])
    users = []
    for number, (path, person) in enumerate(islice(zip(paths, people), 50)):
        name = f"{person}{number:02}"
        if number < 15:  # people as they should be, two with a device in hand, two with keys besides
            mfa = "hardware" if number in (3, 9) else "virtual"
            keys = ["Active"] if number in (4, 8) else []
            user = add_user(account, name, path, password=True, mfa=mfa, keys=keys)
        elif number < 25:  # people without a second factor, one with both keys
            keys = ["Active", "Active"] if number == 20 else []
            user = add_user(account, name, path, password=True, keys=keys)
        elif number < 45:  # programs
            user = add_user(account, name, path, keys=next(services), used=number % 2 == 0)
        else:  # nobody any more: a device may remain
            user = add_user(account, name, path, mfa="virtual" if number == 45 else None)
        users.append(user)
    # Belongs to nobody: no user's listing has it.
    account.client("iam").create_virtual_mfa_device(VirtualMFADeviceName="spare")
    return users


# Keys


def add_keys(account, region):
    """The keys that buckets of a region are encrypted with, as S3 is given them, and what they are like."""
    kms = account.client("kms", region)

    def key(manager="CUSTOMER", enabled=True, rotates=None, **settings):
        made = kms.create_key(**settings)["KeyMetadata"]
        if rotates:
            kms.enable_key_rotation(KeyId=made["KeyId"])
        if not enabled:
            kms.disable_key(KeyId=made["KeyId"])
        return {"kms_key": made["Arn"], "manager": manager, "enabled": enabled, "rotates": rotates}

    rotating, fixed = key(rotates=True), key(rotates=False)
    alias = f"alias/buckets-{region}"
    kms.create_alias(AliasName=alias, TargetKeyId=fixed["kms_key"])
    return {
        "rotating": rotating,
        "fixed": fixed,
        "by_alias": fixed | {"kms_key": account.arn("kms", alias, region)},
        "by_id": rotating | {"kms_key": rotating["kms_key"].rsplit("/", 1)[1]},
        "disabled": key(enabled=False, rotates=False),
        # Its material comes from elsewhere: nothing to rotate.
        "imported": key(Origin="EXTERNAL"),
        "aws": {
            "kms_key": account.arn("kms", "alias/aws/s3", region),
            "manager": "AWS",
            "enabled": True,
            "rotates": True,
        },
    }


# Buckets

ENCRYPTIONS = [
    None,
    ("AES256", None),
    ("aws:kms", "rotating"),
    ("aws:kms", "fixed"),
    ("aws:kms", "by_alias"),
    ("aws:kms", "by_id"),
    ("aws:kms", "disabled"),
    ("aws:kms", "imported"),
    ("aws:kms", "aws"),
    # Names no key: AWS takes its own for S3.
    ("aws:kms", None),
    ("aws:kms:dsse", "rotating"),
]
BLOCKS = [None, (True, True, True, True), (True, False, True, False), (False, False, False, False)]
POLICIES = [None, "tls-only", "tls-only-objects", "tls-only-reading", "public", "other-account"]
OWNERSHIPS = [None, "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]
VERSIONINGS = [None, "Enabled", "Suspended"]
LOCKS = [None, None, None, None, ("COMPLIANCE", "Days", 30), ("GOVERNANCE", "Years", 2), "without default"]
TAGS = [
    None,
    {"data-class": "confidential", "team": "platform"},
    {"team": "web site"},
    {"data-class": "public"},
    {"Data-Class": "other case", "empty": ""},
]


def public_access_block(flags):
    names = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"]
    return dict(zip(names, flags))


def policy_document(kind, bucket):
    whole = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    statement = {
        "tls-only": {
            "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": whole, "Condition": insecure
        },
        # The next two look like it, and leave something open.
        "tls-only-objects": {
            "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": whole[1], "Condition": insecure
        },
        "tls-only-reading": {
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": "s3:Get*",
            "Resource": whole,
            "Condition": insecure,
        },
        "public": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": whole[1]},
        "other-account": {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::210987654321:root"},
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": whole,
        },
        "log-delivery": {
            "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": whole[1],
        },
    }[kind]
    return {"Version": "2012-10-17", "Statement": [statement]}


def add_bucket(account, keys, name, region, encryption=None, block=None, policy=None, ownership=None,
               acl_public=False, versioning=None, lock=None, logging=None, tags=None):
    s3 = account.client("s3", region)
    settings = {"Bucket": name}
    if region != "us-east-1":
        settings["CreateBucketConfiguration"] = {"LocationConstraint": region}
    if lock:
        settings["ObjectLockEnabledForBucket"] = True
        versioning = "Enabled"
    s3.create_bucket(**settings)

    algorithm, key = encryption or (None, None)
    key = keys[region][key] if key else None
    if algorithm:
        default = {"SSEAlgorithm": algorithm}
        if key:
            default["KMSMasterKeyID"] = key["kms_key"]
        s3.put_bucket_encryption(
            Bucket=name,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
            },
        )
    if ownership:
        s3.put_bucket_ownership_controls(
            Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": ownership}]}
        )
    if acl_public:
        s3.put_bucket_acl(Bucket=name, ACL="public-read")
    if policy:
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy_document(policy, name)))
    if block is not None:
        s3.put_public_access_block(
            Bucket=name, PublicAccessBlockConfiguration=public_access_block(block)
        )
    if versioning:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning})
    mode, unit, duration = lock if isinstance(lock, tuple) else (None, None, 0)
    if mode:
        s3.put_object_lock_configuration(
            Bucket=name,
            ObjectLockConfiguration={
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": {"Mode": mode, unit: duration}},
            },
        )
    if logging:
        s3.put_bucket_logging(
            Bucket=name,
            BucketLoggingStatus={
                "LoggingEnabled": {"TargetBucket": logging, "TargetPrefix": f"{name}/"}
            },
        )
    if tags:
        tag_set = [{"Key": tag, "Value": value} for tag, value in tags.items()]
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_set})
    return {
        "name": name,
        "region": region,
        "encryption_algorithm": algorithm,
        "key": key,
        "public_access_block": None if block is None else public_access_block(block),
        "policy": policy,
        "tls_only": policy == "tls-only",
        "policy_public": policy == "public",
        "acl_public": acl_public,
        "object_ownership": ownership,
        "versioning": versioning or "Off",
        "object_lock": bool(lock),
        "object_lock_mode": mode,
        "object_lock_days": duration * (365 if unit == "Years" else 1),
        "logging_target": logging or None,
        "tags": tags or {},
    }


def fifty_buckets(account, keys):
    """Each setting goes round by itself: their periods differ, so that they meet in many ways."""
    logs = {region: f"acme-logs-{region}" for region in REGIONS}
    buckets = [
        add_bucket(account, keys, logs[region], region, policy="log-delivery") for region in REGIONS
    ]
    settings = zip(*(cycle(all) for all in (REGIONS, ENCRYPTIONS, BLOCKS, POLICIES, OWNERSHIPS, VERSIONINGS)),
                   *(cycle(all) for all in (LOCKS, TAGS)))
    for number, (region, encryption, block, policy, ownership, versioning, lock, tags) in enumerate(
        islice(settings, 50 - len(buckets))
    ):
        # What AWS would refuse is not asked for: a public policy or ACL that is blocked, an ACL where there are none.
        blocks_acls, _, blocks_policy, _ = block or (False,) * 4
        if policy == "public" and blocks_policy:
            policy = None
        acl_public = number % 5 == 0 and not blocks_acls and ownership not in (None, "BucketOwnerEnforced")
        buckets.append(
            add_bucket(
                account, keys, f"acme.{number:02}-{region}" if number % 7 == 0 else f"acme-{number:02}", region,
                encryption, block, policy, ownership, acl_public, versioning, lock,
                logs[region] if number % 3 == 1 else None, tags,
            )
        )
    return buckets


# The organisation

management = Account(MANAGEMENT)
organizations = management.client("organizations")
organization = organizations.create_organization(FeatureSet="ALL")["Organization"]
names = {}
for name in ("production", "staging", "archive", "retired"):
    status = organizations.create_account(AccountName=name, Email=f"{name}@example.com")
    names[name] = status["CreateAccountStatus"]["AccountId"]
organizations.close_account(AccountId=names["retired"])

production, staging, archive = (Account(names[name]) for name in ("production", "staging", "archive"))
keys = {region: add_keys(management, region) for region in REGIONS}
staging_keys = {"eu-central-1": add_keys(staging, "eu-central-1")}
accounts = {
    MANAGEMENT: {
        "role": management.role(),
        "users": fifty_users(management),
        "password_policy": management.password_policy(
            MinimumPasswordLength=14,
            PasswordReusePrevention=24,
            MaxPasswordAge=90,
            RequireSymbols=True,
            RequireNumbers=True,
            RequireUppercaseCharacters=True,
            RequireLowercaseCharacters=True,
            AllowUsersToChangePassword=True,
        ),
        "account_public_access": None,
        "buckets": fifty_buckets(management, keys),
    },
    names["production"]: {
        "role": production.role(),
        "users": [
            add_user(production, "break-glass", password=True, mfa="virtual"),
            add_user(production, "deploy", "/programs/", keys=["Active"], used=True),
            add_user(production, "old,deploy", "/programs/", keys=["Inactive"]),
        ],
        "password_policy": None,
        "account_public_access": production.public_access(True, True, True, True),
        "buckets": [
            # Open by itself, closed by the account.
            add_bucket(production, {}, "acme-production-site", "us-east-1", policy="public", acl_public=True,
                       ownership="ObjectWriter"),
            add_bucket(production, {}, "acme-production-data", "eu-central-1", encryption=("AES256", None),
                       policy="tls-only", versioning="Enabled", tags={"data-class": "confidential"}),
        ],
    },
    names["staging"]: {
        "role": staging.role(),
        "users": [add_user(staging, "tester", password=True)],
        "password_policy": staging.password_policy(MinimumPasswordLength=8),
        "account_public_access": staging.public_access(True, False, False, True),
        "buckets": [
            add_bucket(staging, staging_keys, "acme-staging", "eu-central-1", encryption=("aws:kms", "fixed"))
        ],
    },
    # Empty, which is a fact too.
    names["archive"]: {
        "role": archive.role(),
        "users": [],
        "password_policy": None,
        "account_public_access": None,
        "buckets": [],
    },
}
for listed in organizations.list_accounts()["Accounts"]:
    about = {"name": listed["Name"], "email": listed["Email"], "state": listed["State"]}
    accounts[listed["Id"]] = about | accounts.get(listed["Id"], {})

print(json.dumps({"organization": organization["Id"], "management": MANAGEMENT, "accounts": accounts}))
