//! Evidence about AWS accounts: identity, S3, the organisation.
