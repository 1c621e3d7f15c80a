//! Every request that the collectors make, and the permission that it takes.

/// A route of the REST API.
#[derive(Debug)]
pub struct Route {
    /// The path, as GitHub documents it.
    pub path: &'static str,
    /// The permission of a fine-grained token or an App; `None` where any token will do.
    pub permission: Option<&'static str>,
}

macro_rules! routes {
    ($($name:ident = $path:literal $(, $permission:literal)?;)*) => {
        $(pub(crate) const $name: Route = Route {
            path: $path,
            permission: routes!(@permission $($permission)?),
        };)*

        /// All routes.
        pub const ROUTES: &[&Route] = &[$(&$name),*];
    };
    (@permission) => { None };
    (@permission $permission:literal) => { Some($permission) };
}

routes! {
    USER = "/user";
    APP = "/app";
    INSTALLATIONS = "/app/installations";
    INSTALLATION_REPOSITORIES = "/installation/repositories", "metadata";
    ORGANIZATION = "/orgs/{org}";
    ACCOUNT = "/users/{username}";
    ORGANIZATION_REPOSITORIES = "/orgs/{org}/repos", "metadata";
    OWN_REPOSITORIES = "/user/repos", "metadata";
    ACCOUNT_REPOSITORIES = "/users/{username}/repos", "metadata";
    BRANCHES = "/repos/{owner}/{repo}/branches", "contents";
    BRANCH = "/repos/{owner}/{repo}/branches/{branch}", "contents";
    PROTECTION = "/repos/{owner}/{repo}/branches/{branch}/protection", "administration";
    RULES = "/repos/{owner}/{repo}/rules/branches/{branch}", "metadata";
    RULESET = "/repos/{owner}/{repo}/rulesets/{ruleset_id}", "metadata";
    CODEOWNERS_ERRORS = "/repos/{owner}/{repo}/codeowners/errors", "contents";
    COMMITS = "/repos/{owner}/{repo}/commits", "contents";
    COMPARE = "/repos/{owner}/{repo}/compare/{basehead}", "contents";
    ACTIVITY = "/repos/{owner}/{repo}/activity", "contents";
    RULE_SUITES = "/repos/{owner}/{repo}/rulesets/rule-suites", "administration";
    RULE_SUITE = "/repos/{owner}/{repo}/rulesets/rule-suites/{rule_suite_id}", "administration";
}

/// What the GraphQL queries read, by permission.
pub const GRAPHQL: &[(&str, &str)] = &[
    ("pull requests, reviews, timeline", "pull_requests"),
    ("commits and the pull requests that brought them", "contents"),
    ("check suites and check runs", "checks"),
    ("statuses of commits", "statuses"),
];
