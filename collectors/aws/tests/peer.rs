//! The peer itself: that it starts, is filled, answers, and goes away.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, where it stands"
)]

mod moto;

use moto::Moto;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// One call of IAM, as nobody's SDK: moto looks at the signature's scope only.
fn iam(moto: &Moto, action: &str) -> String {
    let address = moto.url();
    let address = address.strip_prefix("http://").unwrap();
    let body = format!("Action={action}&Version=2010-05-08");
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/iam/aws4_request\r\n\r\n{body}",
        body.len(),
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_holds_what_was_seeded() {
    let moto = Moto::start();
    let seeded = moto.seed();
    let management = seeded["management"].as_str().unwrap();
    let users = seeded["accounts"][management]["users"].as_array().unwrap();
    assert_eq!(users.len(), 50);

    let answer = iam(&moto, "ListUsers");
    assert_eq!(answer.matches("<UserName>").count(), 50, "{answer}");
    for user in users {
        let name = user["name"].as_str().unwrap();
        assert!(answer.contains(&format!("<UserName>{name}</UserName>")), "{name}");
    }

    let widths = moto.python(
        "import boto3, csv, json
iam = boto3.client('iam')
iam.generate_credential_report()
report = iam.get_credential_report()['Content'].decode().splitlines()
print(json.dumps([len(row) for row in csv.reader(report)]))",
    );
    assert_eq!(widths, serde_json::json!(vec![22; 51]));

    let found = moto.python(
        "import boto3, json
accounts = boto3.client('organizations').list_accounts()['Accounts']
found = {}
for account in accounts:
    number, session = account['Id'], boto3.Session()
    if number != '123456789012':
        role = f'arn:aws:iam::{number}:role/evidenced'
        keys = boto3.client('sts').assume_role(RoleArn=role, RoleSessionName='peer')['Credentials']
        session = boto3.Session(keys['AccessKeyId'], keys['SecretAccessKey'], keys['SessionToken'])
    block = None
    try:
        control = session.client('s3control')
        block = control.get_public_access_block(AccountId=number)['PublicAccessBlockConfiguration']
    except control.exceptions.NoSuchPublicAccessBlockConfiguration:
        pass
    users = session.client('iam').get_paginator('list_users').paginate()
    found[number] = {
        'state': account['State'],
        'users': sorted(user['Arn'] for page in users for user in page['Users']),
        'buckets': sorted(bucket['Name'] for bucket in session.client('s3').list_buckets()['Buckets']),
        'account_public_access': block,
    }
print(json.dumps(found))",
    );
    let accounts = seeded["accounts"].as_object().unwrap();
    assert_eq!(accounts.len(), 5);
    assert_eq!(found.as_object().unwrap().len(), 5);
    for (number, seeded) in accounts {
        let found = &found[number];
        assert_eq!(found["state"], seeded["state"], "{number}");
        assert_eq!(found["users"], sorted(&seeded["users"], "arn"), "{number}");
        assert_eq!(found["buckets"], sorted(&seeded["buckets"], "name"), "{number}");
        assert_eq!(
            found["account_public_access"], seeded["account_public_access"],
            "{number}"
        );
    }
    assert_eq!(accounts[management]["buckets"].as_array().unwrap().len(), 50);
}

/// One attribute of all, in order; nothing of nothing.
fn sorted(seeded: &serde_json::Value, attribute: &str) -> serde_json::Value {
    let mut all: Vec<String> = seeded
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| one[attribute].as_str().unwrap().to_owned())
        .collect();
    all.sort();
    all.into()
}

#[test]
fn servers_know_nothing_of_each_other_and_end_when_dropped() {
    let servers: Vec<Moto> = thread::scope(|scope| {
        let starting: Vec<_> = (0..3).map(|_| scope.spawn(Moto::start)).collect();
        starting.into_iter().map(|start| start.join().unwrap()).collect()
    });
    servers[0].python("import boto3; boto3.client('iam').create_user(UserName='only-here')");
    let users: Vec<usize> = servers
        .iter()
        .map(|moto| iam(moto, "ListUsers").matches("<UserName>").count())
        .collect();
    assert_eq!(users, [1, 0, 0]);
    let url = servers[0].url();
    drop(servers);
    assert!(TcpStream::connect(url.strip_prefix("http://").unwrap()).is_err());
}

#[test]
fn calls_are_counted_and_held_up() {
    let moto = Moto::start();
    moto.python(
        "import boto3
s3 = boto3.client('s3')
s3.create_bucket(Bucket='counted')
s3.get_bucket_versioning(Bucket='counted')
boto3.client('sts').get_caller_identity()",
    );
    let counted = ["s3 GET ?versioning", "s3 PUT ?", "sts GetCallerIdentity"];
    let expected: Vec<(String, u64)> = counted.map(|call| (call.to_owned(), 1)).into();
    assert_eq!(moto.calls().into_iter().collect::<Vec<_>>(), expected);
    assert!(moto.calls().is_empty(), "what was told is not told again");
    moto.delay(Duration::from_millis(300));
    let seconds = moto.python(
        "import boto3, time
iam, begun = boto3.client('iam'), time.monotonic()
iam.list_users()
print(time.monotonic() - begun)",
    );
    assert!(seconds.as_f64().unwrap() >= 0.3, "{seconds}");
    assert_eq!(moto.calls()["iam ListUsers"], 1);
}

const HOLD: &str = "EVIDENCED_PEER_HOLDS";

/// Runs itself in another process, which it kills.
#[test]
fn a_server_does_not_outlive_a_killed_test() {
    if std::env::var_os(HOLD).is_some() {
        let moto = Moto::start();
        writeln!(
            io::stdout(),
            "\naddress {}",
            moto.url().trim_start_matches("http://")
        )
        .unwrap();
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            "a_server_does_not_outlive_a_killed_test",
        ])
        .env(HOLD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let address = BufReader::new(other.stdout.take().unwrap())
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("address ").map(str::to_owned));
    let address = address.unwrap();
    assert!(TcpStream::connect(&address).is_ok());
    other.kill().unwrap();
    other.wait().unwrap();
    for _ in 0..600 {
        if TcpStream::connect(&address).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("still listening at {address}");
}
