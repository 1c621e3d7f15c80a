//! `aws.iam.mfa`: who can sign in to an account, and with what.
//!
//! The credential report and the listings are asked both, since either alone can be wrong: the report is up to four
//! hours old, and a listing does not say what was used last. What they say is joined in `iam_resources`.

use async_trait::async_trait;
use aws_sdk_iam::Client;
use aws_sdk_iam::operation::get_account_password_policy::GetAccountPasswordPolicyOutput;
use aws_sdk_iam::operation::get_account_summary::GetAccountSummaryOutput;
use aws_sdk_iam::operation::get_credential_report::GetCredentialReportOutput;
use aws_sdk_iam::operation::get_login_profile::GetLoginProfileOutput;
use aws_sdk_iam::operation::list_access_keys::ListAccessKeysOutput;
use aws_sdk_iam::operation::list_mfa_devices::ListMfaDevicesOutput;
use aws_sdk_iam::operation::list_organizations_features::ListOrganizationsFeaturesOutput;
use aws_sdk_iam::operation::list_users::ListUsersOutput;
use aws_sdk_iam::operation::list_virtual_mfa_devices::ListVirtualMfaDevicesOutput;
use aws_sdk_iam::types::{AssignmentStatusType, ReportStateType, User};
use futures_util::StreamExt as _;
use std::time::Duration;

use evidenced_collector_api::{
    CollectError, Collector, Covers, FailureClass, Provenance, Run, Snapshot, Target,
};

use crate::access::{Access, Account, tried};
use crate::answers::Answers;
use crate::ask::{self, Answer, Pages, Question, Refusal};
use crate::iam_resources::{Asked, AskedUser, resources};

/// How long a report may take to be made, in seconds; accounts with thousands of users need some minutes.
const REPORT_SECONDS: u64 = 300;

/// The collector.
pub(crate) struct IamMfa {
    access: Access,
}

/// What was said about one user, each with the position of the call.
pub(crate) struct UserAnswers {
    pub(crate) user: User,
    pub(crate) devices: Answer<Pages<ListMfaDevicesOutput>>,
    pub(crate) keys: Answer<Pages<ListAccessKeysOutput>>,
    pub(crate) login: Answer<GetLoginProfileOutput>,
}

impl IamMfa {
    pub(crate) fn new(access: Access) -> Self {
        Self { access }
    }

    async fn read(&self, account: &Account, run: &Run<'_>, mut answers: Answers) -> (Asked, Answers) {
        let iam = &Client::new(&account.config);
        let report = report(run, iam, &mut answers).await;
        let (summary, policy, features, devices, users) = tokio::join!(
            ask!(run, "iam" "GetAccountSummary" {}, iam.get_account_summary()),
            ask!(run, "iam" "GetAccountPasswordPolicy" {}, iam.get_account_password_policy()),
            ask!(run, "iam" "ListOrganizationsFeatures" {}, iam.list_organizations_features()),
            virtual_devices(run, iam),
            users(run, iam),
        );
        let mut asked = Asked {
            account: account.id.clone(),
            partition: account.partition.clone(),
            report,
            summary: answers.add::<GetAccountSummaryOutput>(summary),
            policy: answers.add::<GetAccountPasswordPolicyOutput>(policy),
            features: answers.add::<ListOrganizationsFeaturesOutput>(features),
            virtual_devices: answers.add(devices),
            users: answers.add(users),
            each: Vec::new(),
        };
        if let (call, Ok(listed)) = &asked.users {
            let count = listed.pages.iter().map(|page| page.users().len()).sum();
            answers.count(*call, count);
            let listed: Vec<User> = listed
                .pages
                .iter()
                .flat_map(|page| page.users().to_vec())
                .collect();
            let mut each = futures_util::stream::iter(listed)
                .map(|user| about(run, iam, user))
                .buffered(self.access.at_once());
            while let Some(UserAnswers {
                user,
                devices,
                keys,
                login,
            }) = each.next().await
            {
                asked.each.push(AskedUser {
                    user,
                    devices: answers.add(devices),
                    keys: answers.add(keys),
                    login: answers.add(login),
                });
            }
        }
        if let (call, Ok(listed)) = &asked.virtual_devices {
            let count = listed
                .pages
                .iter()
                .map(|page| page.virtual_mfa_devices().len())
                .sum();
            answers.count(*call, count);
        }
        (asked, answers)
    }
}

#[async_trait]
impl Collector for IamMfa {
    fn id(&self) -> &'static str {
        "aws.iam.mfa"
    }

    fn version(&self) -> &'static str {
        "1"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["aws.iam.root", "aws.iam.user", "aws.iam.password_policy"]
    }

    fn volatile(&self) -> &'static [(&'static str, &'static str)] {
        &[("aws.iam.root", "last_used"), ("aws.iam.user", "credentials")]
    }

    async fn targets(&self, run: &Run<'_>) -> Result<Vec<Target>, CollectError> {
        self.access.accounts(run).await
    }

    async fn collect(&self, target: &Target, run: &Run<'_>) -> Result<Snapshot, CollectError> {
        let mut answers = Answers::default();
        let account = self.access.account(target, run, &mut answers).await?;
        let (asked, answers) = self.read(&account, run, answers).await;
        let (resources, completeness) = resources(&asked);
        let (calls, raw) = answers.finish();
        Ok(Snapshot {
            covers: Covers::At { at: run.started },
            resources,
            raw,
            provenance: Provenance {
                caller: account.caller,
                calls,
                limits: Vec::new(),
                completeness,
            },
        })
    }

    async fn check(&self, run: &Run<'_>) -> Vec<(String, Result<String, String>)> {
        let mut lines = Vec::new();
        for (name, account) in self.access.reachable(run).await {
            match account {
                Err(error) => lines.push((name, Err(error))),
                Ok((account, answers)) => {
                    let (asked, _) = self.read(&account, run, answers).await;
                    let said = permissions(&asked);
                    lines.extend(
                        said.into_iter()
                            .map(|(what, said)| (format!("{name}: {what}"), said)),
                    );
                }
            }
        }
        lines
    }
}

/// What was tried, permission by permission; of the users, the first that was refused speaks for all.
fn permissions(asked: &Asked) -> Vec<(String, Result<String, String>)> {
    let mut lines = vec![
        tried(
            "iam:GenerateCredentialReport, iam:GetCredentialReport",
            &asked.report.1,
        ),
        tried("iam:GetAccountSummary", &asked.summary.1),
        tried("iam:GetAccountPasswordPolicy", &asked.policy.1),
        tried("iam:ListVirtualMFADevices", &asked.virtual_devices.1),
        tried("iam:ListUsers", &asked.users.1),
    ];
    // Outside the management account AWS says so, and that is an answer.
    if let Err(refusal) = &asked.features.1
        && refusal.class == FailureClass::Permission
    {
        lines.push(tried("iam:ListOrganizationsFeatures", &asked.features.1));
    }
    if !asked.each.is_empty() {
        let each = || asked.each.iter();
        lines.push(tried(
            "iam:ListMFADevices",
            &worst(each().map(|user| &user.devices.1)),
        ));
        lines.push(tried(
            "iam:ListAccessKeys",
            &worst(each().map(|user| &user.keys.1)),
        ));
        lines.push(tried(
            "iam:GetLoginProfile",
            &worst(each().map(|user| &user.login.1)),
        ));
    }
    lines
}

/// The first refusal that is not about a user who is gone, or has no password.
fn worst<'a, T: 'a>(results: impl Iterator<Item = &'a Result<T, Refusal>>) -> Result<(), Refusal> {
    results
        .filter_map(|result| result.as_ref().err())
        .find(|refusal| refusal.code.as_deref() != Some("NoSuchEntity"))
        .map_or(Ok(()), |refusal| Err(refusal.clone()))
}

/// Has a report made, unless AWS still has one, and fetches it.
async fn report(
    run: &Run<'_>,
    iam: &Client,
    answers: &mut Answers,
) -> (usize, Result<GetCredentialReportOutput, Refusal>) {
    let until = run.clock.monotonic() + Duration::from_secs(REPORT_SECONDS);
    let mut pause = Duration::from_secs(1);
    let generated = loop {
        let generated =
            ask!(run, "iam" "GenerateCredentialReport" {}, iam.generate_credential_report()).await;
        let waiting = match &generated.result {
            Ok(said) => said.state() != Some(&ReportStateType::Complete),
            // So AWS puts it that reports are asked for too often.
            Err(refusal) => refusal.says("LimitExceeded"),
        };
        if !waiting || run.clock.monotonic() >= until {
            break generated;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(20));
    };
    let (call, generated) = answers.add(generated);
    if let Err(refusal) = generated {
        return (call, Err(refusal));
    }
    let report = ask!(run, "iam" "GetCredentialReport" {}, iam.get_credential_report()).await;
    answers.add(report)
}

async fn users(run: &Run<'_>, iam: &Client) -> Answer<Pages<ListUsersOutput>> {
    let question = Question {
        service: "iam",
        operation: "ListUsers",
        parameters: Vec::new(),
    };
    ask::pages(
        run,
        question,
        |seen, marker| {
            let request = iam.list_users().set_marker(marker);
            request.customize().interceptor(seen).send()
        },
        |page| follows(page.is_truncated(), page.marker()),
    )
    .await
}

async fn virtual_devices(run: &Run<'_>, iam: &Client) -> Answer<Pages<ListVirtualMfaDevicesOutput>> {
    let question = Question {
        service: "iam",
        operation: "ListVirtualMFADevices",
        parameters: vec![("AssignmentStatus", "Assigned")],
    };
    ask::pages(
        run,
        question,
        |seen, marker| {
            let request = iam
                .list_virtual_mfa_devices()
                .assignment_status(AssignmentStatusType::Assigned)
                .set_marker(marker);
            request.customize().interceptor(seen).send()
        },
        |page| follows(page.is_truncated(), page.marker()),
    )
    .await
}

async fn about(run: &Run<'_>, iam: &Client, user: User) -> UserAnswers {
    let name = user.user_name();
    let question = |operation| Question {
        service: "iam",
        operation,
        parameters: vec![("UserName", name)],
    };
    let (devices, keys, login) = tokio::join!(
        ask::pages(
            run,
            question("ListMFADevices"),
            |seen, marker| {
                let request = iam.list_mfa_devices().user_name(name).set_marker(marker);
                request.customize().interceptor(seen).send()
            },
            |page| follows(page.is_truncated(), page.marker()),
        ),
        ask::pages(
            run,
            question("ListAccessKeys"),
            |seen, marker| {
                let request = iam.list_access_keys().user_name(name).set_marker(marker);
                request.customize().interceptor(seen).send()
            },
            |page| follows(page.is_truncated(), page.marker()),
        ),
        ask!(run, "iam" "GetLoginProfile" { UserName: name }, iam.get_login_profile().user_name(name)),
    );
    UserAnswers {
        user,
        devices,
        keys,
        login,
    }
}

/// How a listing of IAM goes on. One that is cut off without saying where is not the end.
fn follows(truncated: bool, marker: Option<&str>) -> Result<Option<String>, &'static str> {
    match (truncated, marker) {
        (false, _) => Ok(None),
        (true, Some(marker)) => Ok(Some(marker.to_owned())),
        (true, None) => Err("the listing is cut off, and the answer does not say how to go on"),
    }
}
