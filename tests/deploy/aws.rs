//! AWS: a policy, and a role in two forms.

use serde_json::Value;
use std::collections::BTreeSet;

const POLICY: &str = include_str!("../../deploy/aws/policy.json");
const ASSUME_ROLE: &str = include_str!("../../deploy/aws/assume-role-policy.json");
const TERRAFORM: &str = include_str!("../../deploy/aws/terraform/main.tf");
const CLOUDFORMATION: &str = include_str!("../../deploy/aws/cloudformation.yaml");
const README: &str = include_str!("../../deploy/aws/README.md");

/// Who may assume the role: an action and the key of its condition.
const TRUST: [&str; 2] = ["sts:AssumeRole", "sts:ExternalId"];

fn statements(policy: &str) -> Vec<Value> {
    let policy: Value = serde_json::from_str(policy).unwrap();
    assert_eq!(policy["Version"], "2012-10-17");
    policy["Statement"].as_array().unwrap().clone()
}

/// The actions of a statement, in its order.
fn actions(statement: &Value) -> Vec<&str> {
    let actions = statement["Action"].as_array().unwrap().iter();
    actions.map(|action| action.as_str().unwrap()).collect()
}

/// Every `service:Action` that stands anywhere in a text, with an asterisk if it has one.
fn named(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || ":*".contains(c)))
        // The colon of YAML.
        .map(|word| word.trim_end_matches(':'))
        .filter(|word| {
            word.split_once(':').is_some_and(|(service, action)| {
                let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
                !service.is_empty()
                    && service.chars().all(is_name)
                    && action.starts_with(|c: char| c.is_ascii_uppercase() || c == '*')
                    && !action.contains(':')
            })
        })
        .collect()
}

#[test]
fn the_policy_reads_and_changes_nothing() {
    let statements = statements(POLICY);
    let sids: Vec<_> = statements.iter().map(|statement| &statement["Sid"]).collect();
    assert_eq!(sids, ["ReadAccount", "ReadOrganization"]);
    let mut seen = BTreeSet::new();
    for statement in &statements {
        assert_eq!(statement["Effect"], "Allow");
        assert!(statement.get("NotAction").is_none());
        let actions = actions(statement);
        assert!(actions.is_sorted(), "{actions:?}");
        for action in actions {
            let (_, verb) = action.split_once(':').unwrap();
            // Has AWS make a list of users for the next action to read: nothing in the account changes.
            let makes_a_report = action == "iam:GenerateCredentialReport";
            let reads = ["Describe", "Get", "List"]
                .iter()
                .any(|read| verb.starts_with(read));
            assert!(reads || makes_a_report, "{action}");
            assert!(!action.contains(['*', '?']), "{action}");
            assert!(
                !action.starts_with("sts:"),
                "{action} is the collecting identity's"
            );
            assert!(!verb.starts_with("GetObject"), "{action} reads what is stored");
            assert!(seen.insert(action.to_owned()), "{action} stands twice");
        }
    }
}

#[test]
fn what_only_the_organisations_account_may_do_is_a_statement_of_its_own() {
    let statements = statements(POLICY);
    let of_organization =
        |action: &str| action.starts_with("organizations:") || action == "iam:ListOrganizationsFeatures";
    assert!(!actions(&statements[0]).into_iter().any(of_organization));
    assert!(actions(&statements[1]).into_iter().all(of_organization));
}

#[test]
fn every_form_of_the_role_grants_what_the_policy_grants() {
    let granted = named(POLICY);
    let listed: BTreeSet<_> = statements(POLICY)
        .iter()
        .flat_map(actions)
        .map(str::to_owned)
        .collect();
    assert_eq!(
        granted.iter().map(ToString::to_string).collect::<BTreeSet<_>>(),
        listed
    );

    let with_trust: BTreeSet<_> = granted.iter().copied().chain(TRUST).collect();
    assert_eq!(named(CLOUDFORMATION), with_trust);

    // Terraform reads the policy itself.
    assert!(TERRAFORM.contains("jsondecode(file(\"${path.module}/../policy.json\"))"));
    assert_eq!(named(TERRAFORM), BTreeSet::from(TRUST));

    let explained: BTreeSet<_> = granted.iter().copied().chain(["sts:AssumeRole"]).collect();
    assert_eq!(named(README), explained);
}

#[test]
fn cloudformation_splits_the_statements_as_the_policy_does() {
    let (_, policies) = CLOUDFORMATION.split_once("Policies:").unwrap();
    let (account, organization) = policies.split_once("- IsOrganization").unwrap();
    let statements = statements(POLICY);
    assert_eq!(named(account), actions(&statements[0]).into_iter().collect());
    assert_eq!(named(organization), actions(&statements[1]).into_iter().collect());
}

#[test]
fn only_the_collecting_identity_may_assume_roles_and_does_nothing_else() {
    let statements = statements(ASSUME_ROLE);
    assert_eq!(statements.len(), 1);
    assert_eq!(statements[0]["Action"], "sts:AssumeRole");
    // Those of the role that the other files make, and no other.
    assert_eq!(statements[0]["Resource"], "arn:aws:iam::*:role/evidenced");
    assert!(TERRAFORM.contains("default     = \"evidenced\""));
    assert!(CLOUDFORMATION.contains("Default: evidenced\n"));
}

#[test]
fn actions_are_found_in_any_text() {
    let text = "Action: s3:GetBucketAcl, sts:ExternalId: x, [\"iam:*\"] `kms:DescribeKey` AWS::IAM::Role arn:aws:iam::1:role/X";
    assert_eq!(
        named(text),
        BTreeSet::from(["iam:*", "kms:DescribeKey", "s3:GetBucketAcl", "sts:ExternalId"])
    );
}
