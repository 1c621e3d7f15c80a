// GraphQL as a collector asks it, over every repository: any error that no token's lack of permission explains.

const PULL = `number title url createdAt updatedAt mergedAt baseRefName headRefName headRefOid isCrossRepository
  author { __typename login } mergedBy { __typename login } mergeCommit { oid } totalCommits: commits { totalCount }
  commits(last: 1) { nodes { commit { oid authoredDate committedDate author { name user { login } } committer { user { login } }
    checkSuites(first: 5) { nodes { app { slug } push { nextSha pusher { __typename login } } } }
    statusCheckRollup { state contexts(first: 20) { totalCount pageInfo { hasNextPage endCursor } nodes { __typename
      ... on CheckRun { name status conclusion startedAt completedAt checkSuite { app { slug } } }
      ... on StatusContext { context state createdAt } } } } } } }
  reviews(first: 50) { totalCount pageInfo { hasNextPage endCursor } nodes { id author { __typename login } state submittedAt
    authorCanPushToRepository authorAssociation commit { oid } } }
  timelineItems(itemTypes: [REVIEW_DISMISSED_EVENT, HEAD_REF_FORCE_PUSHED_EVENT, ADDED_TO_MERGE_QUEUE_EVENT, MERGED_EVENT, BASE_REF_CHANGED_EVENT], first: 20) {
    totalCount pageInfo { hasNextPage } nodes { __typename
      ... on ReviewDismissedEvent { createdAt actor { login } previousReviewState review { id } }
      ... on HeadRefForcePushedEvent { createdAt actor { login } afterCommit { oid } beforeCommit { oid } }
      ... on AddedToMergeQueueEvent { createdAt actor { login } enqueuer { login } }
      ... on MergedEvent { createdAt actor { login } commit { oid } mergeRefName }
      ... on BaseRefChangedEvent { createdAt previousRefName currentRefName } } }`;

const RULES = `nodes { type parameters { __typename
  ... on PullRequestParameters { requiredApprovingReviewCount dismissStaleReviewsOnPush requireLastPushApproval requireCodeOwnerReview allowedMergeMethods }
  ... on RequiredStatusChecksParameters { strictRequiredStatusChecksPolicy requiredStatusChecks { context integrationId } }
  ... on MergeQueueParameters { mergeMethod groupingStrategy maxEntriesToBuild } } repositoryRuleset { databaseId name enforcement } }`;

const CLASSIC = `pattern isAdminEnforced requiresApprovingReviews requiredApprovingReviewCount dismissesStaleReviews requiresCodeOwnerReviews
  requireLastPushApproval requiresStatusChecks requiresStrictStatusChecks requiredStatusChecks { context app { slug } } requiresLinearHistory
  allowsForcePushes allowsDeletions requiresCommitSignatures requiresConversationResolution restrictsPushes lockBranch
  bypassPullRequestAllowances(first: 10) { nodes { actor { __typename ... on User { login } ... on App { slug } } } }
  bypassForcePushAllowances(first: 10) { nodes { actor { ... on User { login } } } } matchingRefs(first: 10) { nodes { name } }`;

/** `[name, query]`; the variables are `owner`, `name`, `oid`. */
const QUERIES = [
  ['Changes', `repository(owner: $owner, name: $name) { databaseId nameWithOwner isEmpty viewerPermission
    pullRequests(states: MERGED, first: 40, orderBy: {field: UPDATED_AT, direction: DESC}) { totalCount pageInfo { hasNextPage endCursor } nodes { ${PULL} } } }`],
  ['History', `repository(owner: $owner, name: $name) { defaultBranchRef { name target { oid ... on Commit { history(first: 100) { totalCount pageInfo { hasNextPage endCursor }
    nodes { oid parents(first: 3) { nodes { oid } } committedDate author { name user { login } } associatedPullRequests(first: 5) { nodes { number state mergedAt baseRefName } } } } } } }
    object(oid: $oid) { __typename ... on Commit { oid committedDate message author { user { login } name } committer { user { login } } parents(first: 3) { totalCount } } } }`],
  ['Protection', `repository(owner: $owner, name: $name) { id branchProtectionRules(first: 20) { totalCount nodes { ${CLASSIC} } }
    defaultBranchRef { branchProtectionRule { pattern } refUpdateRule { requiredApprovingReviewCount } rules(first: 20) { ${RULES} } }
    refs(refPrefix: "refs/heads/", first: 10) { nodes { name } } codeowners { errors { line column kind message path source suggestion } }
    rulesets(first: 20, includeParents: true) { totalCount nodes { databaseId name enforcement target source { __typename } conditions { refName { include exclude } }
      rules(first: 20) { ${RULES} } bypassActors(first: 10) { nodes { bypassMode organizationAdmin repositoryRoleName deployKey actor { __typename ... on App { slug } } } } } } }`],
  ['Owner', `viewer { login } rateLimit { cost limit remaining used resetAt nodeCount } repositoryOwner(login: $owner) { login repositories(first: 50, orderBy: {field: NAME, direction: ASC}) { totalCount nodes { nameWithOwner isArchived isFork isPrivate } } }`],
];

/** Asks all of it for each repository as each token; `ask(token, body)` gives the answer's JSON. */
export async function checkGraphql(ask, repositories, tokens) {
  const breaches = [];
  for (const [name, { first_commit: oid = '0'.repeat(40), vanishes, deleted }] of Object.entries(repositories)) {
    const [owner, short] = name.split('/');
    for (const token of tokens) {
      for (const [operationName, selection] of QUERIES) {
        const used = ['owner', 'name', 'oid'].filter((each) => selection.includes(`$${each}`));
        const types = { owner: 'String!', name: 'String!', oid: 'GitObjectID!' };
        const query = `query ${operationName}(${used.map((each) => `$${each}: ${types[each]}`).join(', ')}) { ${selection} }`;
        const answer = await ask(token, { query, operationName, variables: { owner, name: short, oid } });
        const unexplained = (answer.errors ?? []).filter(({ type }) => !(type === 'FORBIDDEN' && token !== 'admin-token') && !(type === 'NOT_FOUND' && (vanishes || deleted || token !== 'admin-token')));
        for (const error of unexplained) breaches.push({ call: `${operationName} of ${name} as ${token}`, ...error });
      }
    }
  }
  return breaches;
}
