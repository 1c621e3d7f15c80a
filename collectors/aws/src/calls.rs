//! Every call that the collectors make, and the permission that it takes.

/// A call, and what it takes.
#[derive(Clone, Copy, Debug)]
pub struct Needed {
    /// As the provenance names the service.
    pub service: &'static str,
    /// The operation.
    pub operation: &'static str,
    /// The IAM action that allows it; often the operation under another name.
    pub action: &'static str,
}

const fn needed(service: &'static str, operation: &'static str, action: &'static str) -> Needed {
    Needed {
        service,
        operation,
        action,
    }
}

/// All of them. `sts:GetCallerIdentity` is always allowed and needs no policy.
pub const CALLS: &[Needed] = &[
    needed("sts", "GetCallerIdentity", "sts:GetCallerIdentity"),
    needed("iam", "GenerateCredentialReport", "iam:GenerateCredentialReport"),
    needed("iam", "GetCredentialReport", "iam:GetCredentialReport"),
    needed("iam", "GetAccountSummary", "iam:GetAccountSummary"),
    needed("iam", "GetAccountPasswordPolicy", "iam:GetAccountPasswordPolicy"),
    needed(
        "iam",
        "ListOrganizationsFeatures",
        "iam:ListOrganizationsFeatures",
    ),
    needed("iam", "ListVirtualMFADevices", "iam:ListVirtualMFADevices"),
    needed("iam", "ListUsers", "iam:ListUsers"),
    needed("iam", "GetLoginProfile", "iam:GetLoginProfile"),
    needed("iam", "ListMFADevices", "iam:ListMFADevices"),
    needed("iam", "ListAccessKeys", "iam:ListAccessKeys"),
    needed("organizations", "ListAccounts", "organizations:ListAccounts"),
    needed("s3", "ListBuckets", "s3:ListAllMyBuckets"),
    needed("s3", "GetBucketLocation", "s3:GetBucketLocation"),
    needed("s3", "GetBucketEncryption", "s3:GetEncryptionConfiguration"),
    needed("s3", "GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
    needed("s3", "GetBucketPolicyStatus", "s3:GetBucketPolicyStatus"),
    needed("s3", "GetBucketPolicy", "s3:GetBucketPolicy"),
    needed(
        "s3",
        "GetBucketOwnershipControls",
        "s3:GetBucketOwnershipControls",
    ),
    needed("s3", "GetBucketAcl", "s3:GetBucketAcl"),
    needed("s3", "GetBucketVersioning", "s3:GetBucketVersioning"),
    needed(
        "s3",
        "GetObjectLockConfiguration",
        "s3:GetBucketObjectLockConfiguration",
    ),
    needed("s3", "GetBucketLogging", "s3:GetBucketLogging"),
    needed("s3", "GetBucketTagging", "s3:GetBucketTagging"),
    needed(
        "s3control",
        "GetPublicAccessBlock",
        "s3:GetAccountPublicAccessBlock",
    ),
    needed("kms", "DescribeKey", "kms:DescribeKey"),
    needed("kms", "GetKeyRotationStatus", "kms:GetKeyRotationStatus"),
];

/// The action that a call takes.
pub(crate) fn action(service: &str, operation: &str) -> &'static str {
    CALLS
        .iter()
        .find(|call| call.service == service && call.operation == operation)
        .map_or("an action that is not listed", |call| call.action)
}
