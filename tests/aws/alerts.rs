//! A user loses MFA, gets it back and loses it again: what people are told each time, word for word.

use serde_json::Value;
use std::time::Duration;

use super::moto::Moto;
use super::receiver::receiver;

const SET_UP: &str = r#"
import boto3
iam = boto3.client("iam")
iam.create_user(UserName="bob")
iam.create_login_profile(UserName="bob", Password="correct-Horse-7-battery")
device = iam.create_virtual_mfa_device(VirtualMFADeviceName="bob")["VirtualMFADevice"]["SerialNumber"]
iam.enable_mfa_device(UserName="bob", SerialNumber=device, AuthenticationCode1="123456", AuthenticationCode2="654321")
"#;

const REMOVE: &str = r#"
import boto3
iam = boto3.client("iam")
for device in iam.list_mfa_devices(UserName="bob")["MFADevices"]:
    iam.deactivate_mfa_device(UserName="bob", SerialNumber=device["SerialNumber"])
"#;

const RESTORE: &str = r#"
import boto3
iam = boto3.client("iam")
device = iam.list_virtual_mfa_devices()["VirtualMFADevices"][0]["SerialNumber"]
iam.enable_mfa_device(UserName="bob", SerialNumber=device, AuthenticationCode1="123456", AuthenticationCode2="654321")
"#;

#[test]
fn a_user_who_loses_mfa_is_told_of_each_time_and_so_is_that_it_is_back() {
    let moto = Moto::start();
    moto.whole_reports();
    moto.python(SET_UP);
    let (url, bodies) = receiver();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("evidenced.toml");
    std::fs::write(
        &config,
        r#"
name = "acme"
[[source]]
name = "prod"
type = "aws"
settings = { calls_per_second = 1000 }
[source.collectors."aws.iam.mfa"]
schedule = "0 */4 * * *"
[[channel]]
name = "hook"
type = "webhook"
personal_data = true
settings = { url = { env = "HOOK_URL" }, secret = { env = "HOOK_SECRET" } }
"#,
    )
    .unwrap();
    let mut told = Vec::new();
    for step in ["", REMOVE, RESTORE, REMOVE] {
        if !step.is_empty() {
            moto.python(step);
        }
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_evidenced"))
            .args(["collect", "--once", "--config"])
            .arg(&config)
            .arg("--store")
            .arg(folder.path().join("store"))
            .envs(moto.environment())
            .env("HOOK_URL", &url)
            .env("HOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .env("NO_PROXY", "127.0.0.1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        while let Ok(body) = bodies.recv_timeout(Duration::from_millis(200)) {
            if body["data"]["test"] == "aws-console-mfa" {
                told.push(plain(&body["data"]));
            }
        }
    }
    let failing = "[high] Every user with a password has a second factor: fails for 1 resource on prod\n\
        \n\
        - aws.iam.user bob (123456789012): mfa_active = false; applies as password_enabled = true\n    \
            mfa_active: true -> false\n    \
            mfa_devices/0: {\"enabled\":\"TIME\",\"kind\":\"virtual\",\"serial\":\"arn:aws:iam::123456789012:mfa/bob\"} -> none\n\
        \n\
        CC6.1 Console access with a password requires a second factor. (console-access-second-factor, owner: platform)\n\
        \n\
        LOG, TIME\n\
        evidenced show SNAPSHOT\n\
        evidenced acknowledge ALERT --note \"...\"";
    let passes = "Resolved: Every user with a password has a second factor on prod: passes again\n\
        \n\
        CC6.1 Console access with a password requires a second factor. (console-access-second-factor, owner: platform)\n\
        \n\
        LOG, TIME\n\
        evidenced show SNAPSHOT";
    assert_eq!(told, [failing, passes, failing]);
}

/// A message's text, with words in the place of what differs from one time to the next.
fn plain(data: &Value) -> String {
    let facts = &data["facts"];
    let minute = |time: &Value| {
        let time = time.as_str().unwrap();
        format!("{} {} UTC", &time[..10], &time[11..16])
    };
    let mut text = data["text"].as_str().unwrap().to_owned();
    if let Some((before, rest)) = text.split_once("\"enabled\":\"") {
        let (_, after) = rest.split_once('"').unwrap();
        text = format!("{before}\"enabled\":\"TIME\"{after}");
    }
    text.replace(&format!(", since {}", minute(&facts["since"])), "")
        .replace(facts["log"].as_str().unwrap(), "LOG")
        .replace(&minute(&facts["at"]), "TIME")
        .replace(
            &format!("evidenced show {}", facts["show"]),
            "evidenced show SNAPSHOT",
        )
        .replace(&format!("acknowledge {}", facts["alert"]), "acknowledge ALERT")
}
