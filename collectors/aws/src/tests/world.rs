//! One account's answers, in the forms that AWS's API references give, and what can be made to go wrong with them.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::base64;
use aws_smithy_types::body::SdkBody;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

use crate::connection;

/// The account.
pub(super) const ACCOUNT: &str = "123456789012";

/// A call, as the provenance names it.
pub(super) type Name = (String, String);

/// What is answered in place of the ordinary.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// A status, and a body.
    Say(u16, String),
    /// So many times the first, then the ordinary answer.
    First(usize, Box<Reply>),
    /// Nothing, for ever.
    Silence,
    /// The connection breaks.
    Reset,
    /// A body that never ends, as fast as it is read.
    Endless,
    /// S3's word that a bucket lies in this region, to whom asks in another.
    Elsewhere(&'static str),
}

/// Answers, and what was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) settings: String,
    /// How long each answer takes.
    pub(super) latency: Duration,
    /// Users and buckets beside those that are described here.
    pub(super) more: usize,
    /// Whether buckets are listed in pages only.
    pub(super) refuse_unpaged: bool,
    /// Calls in a second that are answered; others are throttled.
    pub(super) limit: Option<u32>,
    /// In that second: when it began, and calls answered.
    second: Arc<Mutex<Option<(Instant, u32)>>>,
    replies: Arc<Mutex<BTreeMap<(Name, String), Reply>>>,
    asked: Arc<Mutex<Vec<Name>>>,
}

impl World {
    /// The account as it is.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Answers a call otherwise; `about` is the user, bucket or key concerned, empty for all.
    pub(super) fn with(self, service: &str, operation: &str, about: &str, reply: Reply) -> Self {
        let name = (service.to_owned(), operation.to_owned());
        self.replies
            .lock()
            .unwrap()
            .insert((name, about.to_owned()), reply);
        self
    }

    /// Refuses a call.
    pub(super) fn denying(self, service: &str, operation: &str) -> Self {
        let reply = Reply::Say(403, error(service, "AccessDenied"));
        self.with(service, operation, "", reply)
    }

    /// Every call that was made.
    pub(super) fn asked(&self) -> Vec<Name> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn config(&self) -> SdkConfig {
        let credentials = Credentials::new("AKIAEXAMPLE", "secret", None, None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(connection::retries())
            .timeout_config(connection::timeouts())
            .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
                aws_smithy_async::rt::sleep::TokioSleep::new(),
            ))
            .time_source(aws_smithy_async::time::SystemTimeSource::new())
            .http_client(connection::paced(SharedHttpClient::new(self.clone()), 200, 16))
            .build()
    }

    /// Whether this call is one too many.
    fn throttles(&self) -> bool {
        let Some(limit) = self.limit else { return false };
        let (mut second, now) = (self.second.lock().unwrap(), Instant::now());
        let (begun, answered) = second.unwrap_or((now, 0));
        let begins = now.duration_since(begun) >= Duration::from_secs(1);
        let (begun, answered) = if begins { (now, 0) } else { (begun, answered) };
        let over = answered >= limit;
        *second = Some((begun, answered + u32::from(!over)));
        over
    }

    fn answer(&self, request: &HttpRequest) -> Option<Result<HttpResponse, ()>> {
        let (name, about) = identify(request);
        self.asked.lock().unwrap().push(name.clone());
        // The report has a limit of its own, which these tests do not have: its calls wait minutes for each other.
        let reports = name.1.ends_with("CredentialReport");
        if !reports && self.throttles() {
            let body = SdkBody::from(error(&name.0, "Throttling"));
            return Some(Ok(HttpResponse::new(StatusCode::try_from(400).unwrap(), body)));
        }
        let mut replies = self.replies.lock().unwrap();
        let key = [(name.clone(), about.clone()), (name.clone(), String::new())]
            .into_iter()
            .find(|key| replies.contains_key(key));
        let reply = key.and_then(|key| {
            let reply = replies.get_mut(&key)?;
            match reply {
                Reply::First(0, _) => None,
                Reply::First(left, first) => {
                    *left -= 1;
                    Some((**first).clone())
                }
                reply => Some(reply.clone()),
            }
        });
        if matches!(reply, Some(Reply::Endless)) {
            let body = SdkBody::from_body_1_x(Endless);
            return Some(Ok(HttpResponse::new(StatusCode::try_from(200).unwrap(), body)));
        }
        if let Some(Reply::Elsewhere(region)) = reply
            && !request.uri().contains(region)
        {
            let body = SdkBody::from(error("s3", "PermanentRedirect"));
            let mut response = HttpResponse::new(StatusCode::try_from(301).unwrap(), body);
            response.headers_mut().insert("x-amz-bucket-region", region);
            return Some(Ok(response));
        }
        let (status, body) = match reply {
            Some(Reply::Silence | Reply::Endless) => return None,
            Some(Reply::Reset | Reply::First(..)) => return Some(Err(())),
            Some(Reply::Say(status, body)) => (status, body),
            None if self.refuse_unpaged
                && name.1 == "ListBuckets"
                && !request.uri().contains("max-buckets") =>
            {
                (400, error("s3", "InvalidRequest"))
            }
            None | Some(Reply::Elsewhere(_)) => ordinary(&name, &about, request, self.more),
        };
        let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
        response.headers_mut().insert("x-amzn-requestid", "request-1");
        Some(Ok(response))
    }
}

struct Endless;

impl http_body::Body for Endless {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        static PIECE: [u8; 1 << 16] = [b' '; 1 << 16];
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(bytes::Bytes::from_static(
            &PIECE,
        )))))
    }
}

impl HttpClient for World {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for World {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match self.answer(&request) {
            None => HttpConnectorFuture::new(std::future::pending()),
            Some(answer) => {
                let latency = self.latency;
                HttpConnectorFuture::new(async move {
                    tokio::time::sleep(latency).await;
                    answer.map_err(|()| ConnectorError::io("the connection was reset".into()))
                })
            }
        }
    }
}

/// Which call a request is, and whom or what it is about.
fn identify(request: &HttpRequest) -> (Name, String) {
    let uri = request.uri();
    let (_, rest) = uri.split_once("://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
    let field = |name: &str| {
        let mut fields = body.split('&').filter_map(|pair| pair.split_once('='));
        fields
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    };
    let name = |service: &str, operation: &str| (service.to_owned(), operation.to_owned());
    if let Some(target) = request.headers().get("x-amz-target") {
        let service = if target.starts_with("Trent") {
            "kms"
        } else {
            "organizations"
        };
        let about = body.split('"').nth(3).unwrap_or_default().to_owned();
        return (name(service, target.split('.').nth(1).unwrap()), about);
    }
    if let Some(action) = field("Action") {
        let service = if host.starts_with("sts") { "sts" } else { "iam" };
        return (name(service, &action), field("UserName").unwrap_or_default());
    }
    if host.contains("s3-control") {
        return (name("s3control", "GetPublicAccessBlock"), String::new());
    }
    let bucket = host.split_once(".s3").map_or("", |(bucket, _)| bucket).to_owned();
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let operation = match query.split(['&', '=']).next().unwrap_or_default() {
        "location" => "GetBucketLocation",
        "encryption" => "GetBucketEncryption",
        "publicAccessBlock" => "GetPublicAccessBlock",
        "policyStatus" => "GetBucketPolicyStatus",
        "policy" => "GetBucketPolicy",
        "ownershipControls" => "GetBucketOwnershipControls",
        "acl" => "GetBucketAcl",
        "versioning" => "GetBucketVersioning",
        "object-lock" => "GetObjectLockConfiguration",
        "logging" => "GetBucketLogging",
        "tagging" => "GetBucketTagging",
        _ => "ListBuckets",
    };
    (name("s3", operation), bucket)
}

/// An error, as each service words it.
pub(super) fn error(service: &str, code: &str) -> String {
    match service {
        "kms" | "organizations" => format!(r#"{{"__type":"{code}","message":"no"}}"#),
        "s3" => format!("<Error><Code>{code}</Code><Message>no</Message></Error>"),
        _ => format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
        ),
    }
}

/// The report: root with a hardware device, alice with MFA, bob without, and a row for who was deleted is not there.
pub(super) const REPORT: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date
<root_account>,arn:aws:iam::123456789012:root,2020-01-01T00:00:00+00:00,not_supported,2026-01-10T00:00:00+00:00,not_supported,not_supported,true,false,N/A,N/A,false,N/A,N/A
alice,arn:aws:iam::123456789012:user/alice,2021-01-01T00:00:00+00:00,true,2026-05-20T08:00:00+00:00,2026-01-01T00:00:00+00:00,N/A,true,true,2026-04-01T00:00:00+00:00,2026-05-21T00:00:00+00:00,false,N/A,N/A
bob,arn:aws:iam::123456789012:user/bob,2021-02-01T00:00:00+00:00,true,no_information,2026-02-01T00:00:00+00:00,N/A,false,false,N/A,N/A,false,N/A,N/A
";

fn ordinary((service, operation): &Name, about: &str, request: &HttpRequest, more: usize) -> (u16, String) {
    let result = |inner: &str| {
        (
            200,
            format!(
                "<{operation}Response><{operation}Result>{inner}</{operation}Result></{operation}Response>"
            ),
        )
    };
    let missing = |status, code| (status, error(service, code));
    let at = "<CreateDate>2021-01-01T00:00:00Z</CreateDate>";
    match (operation.as_str(), about) {
        ("GetCallerIdentity", _) => result(
            "<Arn>arn:aws:sts::123456789012:assumed-role/evidenced/x</Arn><UserId>AROA:x</UserId><Account>123456789012</Account>",
        ),
        ("GenerateCredentialReport", _) => result("<State>COMPLETE</State>"),
        ("GetCredentialReport", _) => result(&format!(
            "<Content>{}</Content><ReportFormat>text/csv</ReportFormat><GeneratedTime>2026-05-28T00:00:00Z</GeneratedTime>",
            base64::encode(REPORT)
        )),
        ("GetAccountSummary", _) => result(
            "<SummaryMap><entry><key>AccountMFAEnabled</key><value>1</value></entry>\
             <entry><key>AccountAccessKeysPresent</key><value>0</value></entry>\
             <entry><key>AccountPasswordPresent</key><value>1</value></entry>\
             <entry><key>AccountSigningCertificatesPresent</key><value>0</value></entry></SummaryMap>",
        ),
        ("GetAccountPasswordPolicy", _) => result(
            "<PasswordPolicy><MinimumPasswordLength>14</MinimumPasswordLength><RequireSymbols>true</RequireSymbols>\
             <PasswordReusePrevention>24</PasswordReusePrevention></PasswordPolicy>",
        ),
        ("ListOrganizationsFeatures", _) => result(
            "<OrganizationId>o-1</OrganizationId><EnabledFeatures><member>RootCredentialsManagement</member></EnabledFeatures>",
        ),
        ("ListVirtualMFADevices", _) => result(&format!(
            "<VirtualMFADevices><member><SerialNumber>arn:aws:iam::{ACCOUNT}:mfa/root-account-mfa-device</SerialNumber>\
             <User><Path>/</Path><UserName>alice</UserName><UserId>A</UserId><Arn>arn:aws:iam::{ACCOUNT}:user/alice</Arn>{at}</User>\
             </member></VirtualMFADevices><IsTruncated>false</IsTruncated>"
        )),
        ("ListUsers", _) => {
            let user = |name: &str, at: &str| {
                format!("<member><Path>/</Path><UserName>{name}</UserName><UserId>A</UserId><Arn>arn:aws:iam::{ACCOUNT}:user/{name}</Arn>{at}</member>")
            };
            let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
            // Two pages; the last user came after the report.
            if body.contains("Marker=m2") {
                let later = user("later", "<CreateDate>2026-05-28T12:00:00Z</CreateDate>");
                return result(&format!("<Users>{later}</Users><IsTruncated>false</IsTruncated>"));
            }
            let mut users = user("alice", at) + &user("bob", at);
            for number in 0..more {
                users += &user(&format!("u{number}"), "<CreateDate>2026-05-28T12:00:00Z</CreateDate>");
            }
            result(&format!("<Users>{users}</Users><IsTruncated>true</IsTruncated><Marker>m2</Marker>"))
        }
        ("GetLoginProfile", "later") => missing(404, "NoSuchEntity"),
        ("GetLoginProfile", name) => result(&format!("<LoginProfile><UserName>{name}</UserName>{at}</LoginProfile>")),
        ("ListMFADevices", "alice") => result(
            "<MFADevices><member><UserName>alice</UserName><SerialNumber>arn:aws:iam::123456789012:mfa/phone</SerialNumber>\
             <EnableDate>2021-01-02T00:00:00Z</EnableDate></member></MFADevices><IsTruncated>false</IsTruncated>",
        ),
        ("ListMFADevices", _) => result("<MFADevices/><IsTruncated>false</IsTruncated>"),
        ("ListAccessKeys", "alice") => result(
            "<AccessKeyMetadata><member><UserName>alice</UserName><AccessKeyId>AKIAALICE</AccessKeyId><Status>Active</Status>\
             <CreateDate>2026-04-01T00:00:00Z</CreateDate></member></AccessKeyMetadata><IsTruncated>false</IsTruncated>",
        ),
        ("ListAccessKeys", _) => result("<AccessKeyMetadata/><IsTruncated>false</IsTruncated>"),
        ("DescribeKey", _) => (200, r#"{"KeyMetadata":{"KeyId":"k-1","KeyManager":"CUSTOMER","KeySpec":"SYMMETRIC_DEFAULT","Origin":"AWS_KMS","Enabled":true}}"#.to_owned()),
        ("GetKeyRotationStatus", _) => (200, r#"{"KeyRotationEnabled":true}"#.to_owned()),
        ("ListAccounts", _) => (200, format!(
            r#"{{"Accounts":[{{"Id":"{ACCOUNT}","Name":"main","Email":"a@example.com","State":"ACTIVE"}},{{"Id":"210987654321","Name":"forgotten","Email":"b@example.com","State":"ACTIVE"}}]}}"#
        )),
        _ => match s3(operation, about, more) {
            Err(code) => missing(404, code),
            Ok(body) => (200, body),
        },
    }
}

/// `alpha` has everything, `beta` nothing.
fn s3(operation: &str, bucket: &str, more: usize) -> Result<String, &'static str> {
    let flags = |on: bool| {
        format!(
            "<PublicAccessBlockConfiguration><BlockPublicAcls>{on}</BlockPublicAcls><IgnorePublicAcls>{on}</IgnorePublicAcls>\
             <BlockPublicPolicy>{on}</BlockPublicPolicy><RestrictPublicBuckets>{on}</RestrictPublicBuckets></PublicAccessBlockConfiguration>"
        )
    };
    let alpha = bucket == "alpha";
    Ok(match operation {
        "ListBuckets" => {
            let bucket = |name: &str| format!("<Bucket><Name>{name}</Name><CreationDate>2022-01-01T00:00:00Z</CreationDate><BucketRegion>eu-central-1</BucketRegion></Bucket>");
            let plain = "<Bucket><Name>beta</Name><CreationDate>2022-01-01T00:00:00Z</CreationDate></Bucket>";
            // A server that knows no regions here leaves them out.
            let first = bucket("alpha");
            let more: String = (0..more).map(|number| bucket(&format!("more-{number}"))).collect();
            format!("<ListAllMyBucketsResult><Buckets>{first}{plain}{more}</Buckets></ListAllMyBucketsResult>")
        }
        "GetBucketLocation" => "<LocationConstraint>EU</LocationConstraint>".to_owned(),
        "GetPublicAccessBlock" if bucket.is_empty() => return Err("NoSuchPublicAccessBlockConfiguration"),
        "GetPublicAccessBlock" if alpha => flags(true),
        "GetPublicAccessBlock" => return Err("NoSuchPublicAccessBlockConfiguration"),
        "GetBucketEncryption" if alpha => "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
            <SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>arn:aws:kms:eu-central-1:123456789012:key/k-1</KMSMasterKeyID>\
            </ApplyServerSideEncryptionByDefault><BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>\
            </Rule></ServerSideEncryptionConfiguration>".to_owned(),
        "GetBucketEncryption" => "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
            <SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>".to_owned(),
        "GetBucketPolicyStatus" if alpha => "<PolicyStatus><IsPublic>false</IsPublic></PolicyStatus>".to_owned(),
        "GetBucketPolicy" if alpha => r#"{"Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::alpha","arn:aws:s3:::alpha/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#.to_owned(),
        "GetBucketPolicyStatus" | "GetBucketPolicy" => return Err("NoSuchBucketPolicy"),
        "GetBucketOwnershipControls" if alpha => "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>".to_owned(),
        "GetBucketOwnershipControls" => return Err("OwnershipControlsNotFoundError"),
        "GetBucketAcl" if alpha => "<AccessControlPolicy><AccessControlList/></AccessControlPolicy>".to_owned(),
        "GetBucketAcl" => "<AccessControlPolicy><AccessControlList><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"Group\">\
            <URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>".to_owned(),
        "GetBucketVersioning" if alpha => "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>".to_owned(),
        "GetBucketVersioning" => "<VersioningConfiguration/>".to_owned(),
        "GetObjectLockConfiguration" if alpha => "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
            <Mode>COMPLIANCE</Mode><Years>1</Years></DefaultRetention></Rule></ObjectLockConfiguration>".to_owned(),
        "GetObjectLockConfiguration" => return Err("ObjectLockConfigurationNotFoundError"),
        "GetBucketLogging" if alpha => "<BucketLoggingStatus><LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix>a/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>".to_owned(),
        "GetBucketLogging" => "<BucketLoggingStatus/>".to_owned(),
        "GetBucketTagging" if alpha => "<Tagging><TagSet><Tag><Key>data-class</Key><Value>confidential</Value></Tag></TagSet></Tagging>".to_owned(),
        "GetBucketTagging" => return Err("NoSuchTagSet"),
        _ => return Err("NotImplemented"),
    })
}
