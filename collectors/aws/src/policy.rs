//! What a bucket's policy says about transport.

use serde_json::Value;

/// Whether a policy refuses insecure transport: a statement that denies every principal all actions, on the bucket and
/// on its objects, where `aws:SecureTransport` is false, and under no other condition.
pub(crate) fn is_tls_only(policy: &str, bucket_arn: &str) -> Result<bool, String> {
    let policy: Value =
        serde_json::from_str(policy).map_err(|_| "the bucket's policy is no JSON".to_owned())?;
    let statements = match &policy["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        statement @ Value::Object(_) => std::slice::from_ref(statement),
        _ => return Err("the bucket's policy has no statement".to_owned()),
    };
    // One statement may cover the bucket and another its objects.
    let denied = |resource: &str| {
        statements
            .iter()
            .any(|statement| denies_insecure(statement) && names(&statement["Resource"], resource))
    };
    Ok(denied(bucket_arn) && denied(&format!("{bucket_arn}/*")))
}

fn denies_insecure(statement: &Value) -> bool {
    let everybody = match &statement["Principal"] {
        Value::Object(principal) => principal.get("AWS").is_some_and(|aws| holds(aws, "*")),
        principal => holds(principal, "*"),
    };
    let action = &statement["Action"];
    let condition = statement["Condition"].as_object();
    let insecure = condition.is_some_and(|condition| {
        condition.len() == 1
            && condition
                .get("Bool")
                .and_then(Value::as_object)
                .is_some_and(|keys| {
                    keys.len() == 1
                        && keys.iter().all(|(key, value)| {
                            key.eq_ignore_ascii_case("aws:SecureTransport")
                                && (holds(value, "false") || *value == Value::Bool(false))
                        })
                })
    });
    statement["Effect"] == "Deny" && everybody && (holds(action, "*") || holds(action, "s3:*")) && insecure
}

/// Whether a resource element covers a resource, by name or by a star for all.
fn names(element: &Value, resource: &str) -> bool {
    let covers = |pattern: &str| {
        pattern == "*"
            || pattern == resource
            || pattern
                .strip_suffix('*')
                .is_some_and(|prefix| resource.starts_with(prefix))
    };
    match element {
        Value::String(pattern) => covers(pattern),
        Value::Array(patterns) => patterns.iter().filter_map(Value::as_str).any(covers),
        _ => false,
    }
}

/// Whether an element that is one text or a list of them holds exactly this.
fn holds(element: &Value, text: &str) -> bool {
    match element {
        Value::String(one) => one.eq_ignore_ascii_case(text),
        Value::Array(list) => list.iter().any(|one| holds(one, text)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ARN: &str = "arn:aws:s3:::logs";

    fn denial() -> Value {
        json!({ "Effect": "Deny", "Principal": "*", "Action": "s3:*",
            "Resource": [ARN, "arn:aws:s3:::logs/*"], "Condition": { "Bool": { "aws:SecureTransport": "false" } } })
    }

    fn tls_only(statements: &Value) -> bool {
        is_tls_only(
            &json!({ "Version": "2012-10-17", "Statement": statements }).to_string(),
            ARN,
        )
        .unwrap()
    }

    #[test]
    fn a_denial_for_everybody_everything_and_everywhere_counts() {
        assert!(tls_only(&denial()));
        assert!(tls_only(&json!([denial()])));
        let mut aws = denial();
        aws["Principal"] = json!({ "AWS": ["*"] });
        aws["Action"] = json!(["*"]);
        aws["Resource"] = json!("*");
        aws["Condition"] = json!({ "Bool": { "aws:securetransport": false } });
        assert!(tls_only(&json!([aws])));
        let (mut bucket, mut objects) = (denial(), denial());
        bucket["Resource"] = json!(ARN);
        objects["Resource"] = json!("arn:aws:s3:::logs/*");
        assert!(
            tls_only(&json!([bucket.clone(), objects])),
            "two statements together"
        );
        assert!(!tls_only(&json!([bucket])), "the bucket alone");
    }

    #[test]
    fn anything_less_does_not() {
        for (field, value) in [
            ("Effect", json!("Allow")),
            ("Principal", json!({ "AWS": "arn:aws:iam::123456789012:root" })),
            ("Principal", json!({ "Service": "*" })),
            ("Action", json!("s3:PutObject")),
            ("Resource", json!("arn:aws:s3:::logs/*")),
            ("Resource", json!(["arn:aws:s3:::other", "arn:aws:s3:::other/*"])),
            ("Condition", json!({ "Bool": { "aws:SecureTransport": "true" } })),
            (
                "Condition",
                json!({ "Bool": { "aws:SecureTransport": "false" }, "StringEquals": { "aws:PrincipalOrgID": "o-1" } }),
            ),
            (
                "Condition",
                json!({ "BoolIfExists": { "aws:MultiFactorAuthPresent": "false" } }),
            ),
            ("Condition", Value::Null),
        ] {
            let mut statement = denial();
            statement[field] = value.clone();
            assert!(!tls_only(&json!([statement])), "{field} = {value}");
        }
    }

    #[test]
    fn what_can_not_be_read_is_no_answer() {
        assert!(is_tls_only("{", ARN).is_err());
        assert!(is_tls_only("{}", ARN).is_err());
    }
}
