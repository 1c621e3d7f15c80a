// GraphQL's classic rules, rulesets, and the rules on a branch.

import { administers } from './access.mjs';
import { application, connection, person, user } from './graph.mjs';
import { refNode, repositoryNode } from './graph-repository.mjs';
import { classicOf, matches, rulesetsOn, unpaid } from './protection.mjs';
import { writesRuleset } from './rest-protection.mjs';
import { nodeId } from './shapes.mjs';

export function classicNode(context, repository, rule) {
  const { world } = context;
  const { reviews, checks, restrictions } = rule;
  const self = () => classicNode(context, repository, rule);
  const allowances = (logins, type) => (args) =>
    connection(context, logins, args, (login) => ({
      __typename: type,
      id: nodeId('BPA', `${rule.id}:${login}`),
      actor: () => (login.startsWith('app:') ? application(world, login.slice(4)) : user(context, login)),
      branchProtectionRule: self,
    }));
  return {
    __typename: 'BranchProtectionRule',
    id: nodeId('BPR', rule.id),
    databaseId: rule.id,
    pattern: rule.pattern,
    repository: () => repositoryNode(context, repository),
    creator: null,
    allowsDeletions: rule.deletions,
    allowsForcePushes: rule.force_pushes,
    blocksCreations: rule.block_creations,
    dismissesStaleReviews: reviews?.dismiss_stale ?? false,
    isAdminEnforced: rule.enforce_admins,
    lockAllowsFetchAndMerge: false,
    lockBranch: rule.lock,
    requireLastPushApproval: reviews?.last_push ?? false,
    requiredApprovingReviewCount: reviews?.count ?? null,
    requiredDeploymentEnvironments: [],
    requiredStatusCheckContexts: checks?.contexts ?? [],
    requiredStatusChecks: (checks?.contexts ?? []).map((context) => ({ context, app: null })),
    requiresApprovingReviews: Boolean(reviews),
    requiresCodeOwnerReviews: reviews?.code_owners ?? false,
    requiresCommitSignatures: rule.signatures,
    requiresConversationResolution: rule.conversations,
    requiresDeployments: false,
    requiresLinearHistory: rule.linear,
    requiresStatusChecks: Boolean(checks),
    requiresStrictStatusChecks: checks?.strict ?? false,
    restrictsPushes: Boolean(restrictions),
    restrictsReviewDismissals: false,
    bypassForcePushAllowances: allowances(rule.force_push_bypass, 'BypassForcePushAllowance'),
    bypassPullRequestAllowances: allowances(reviews?.bypass ?? [], 'BypassPullRequestAllowance'),
    pushAllowances: allowances(restrictions ?? [], 'PushAllowance'),
    reviewDismissalAllowances: allowances([], 'ReviewDismissalAllowance'),
    branchProtectionRuleConflicts: (args) => connection(context, [], args, () => null),
    matchingRefs: (args) => {
      const names = [...repository.refs.keys()].filter((name) => classicOf(repository, name) === rule && matches(rule.pattern, name));
      return connection(context, names, args, (name) => refNode(context, repository, name));
    },
  };
}

export function rulesetNode(context, repository, each) {
  const { world, token } = context;
  return {
    __typename: 'RepositoryRuleset',
    id: nodeId('RRS', each.id),
    databaseId: each.id,
    name: each.name,
    enforcement: each.enforcement.toUpperCase(),
    target: each.target.toUpperCase(),
    createdAt: each.created_at,
    updatedAt: each.updated_at,
    source: () => (each.level === 'Organization' ? person(context, each.owner) : repositoryNode(context, each.repository)),
    conditions: {
      refName: { include: each.include, exclude: each.exclude },
      repositoryId: null,
      repositoryName: each.repositories && { ...each.repositories, protected: false },
      repositoryProperty: null,
    },
    rules: (args) => connection(context, each.rules.filter(({ type }) => !args.type || type.toUpperCase() === args.type), args, (rule, index) => ruleNode(context, repository, each, rule, index)),
    bypassActors: (args) => {
      // Who may not write it is not told.
      if (!writesRuleset(world, token, repository, each)) return null;
      return connection(context, each.bypass, args, (bypass, index) => bypassNode(context, repository, each, bypass, index));
    },
  };
}

const ROLES = { 2: 'maintain', 4: 'write', 5: 'admin' };

function bypassNode(context, repository, each, { actor_type, actor_id, bypass_mode }, index) {
  const role = actor_type === 'RepositoryRole';
  return {
    __typename: 'RepositoryRulesetBypassActor',
    id: nodeId('RBA', `${each.id}:${index}`),
    actor: actor_type === 'Integration' ? application(context.world, context.world.app.slug) : null,
    bypassMode: bypass_mode.toUpperCase(),
    deployKey: actor_type === 'DeployKey',
    enterpriseOwner: false,
    organizationAdmin: actor_type === 'OrganizationAdmin',
    repositoryRoleDatabaseId: role ? actor_id : null,
    repositoryRoleName: role ? (ROLES[actor_id] ?? null) : null,
    repositoryRuleset: () => rulesetNode(context, repository, each),
  };
}

const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

function camelled(value) {
  if (Array.isArray(value)) return value.map(camelled);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [camel(name), camelled(inner)]));
}

const PARAMETERS = {
  pull_request: 'PullRequestParameters',
  required_status_checks: 'RequiredStatusChecksParameters',
  merge_queue: 'MergeQueueParameters',
  update: 'UpdateParameters',
};

function ruleNode(context, repository, each, rule, index) {
  const parameters = rule.parameters && { __typename: PARAMETERS[rule.type], ...camelled(rule.parameters) };
  if (parameters && rule.type === 'pull_request') parameters.allowedMergeMethods = rule.parameters.allowed_merge_methods?.map((method) => method.toUpperCase());
  return {
    __typename: 'RepositoryRule',
    id: nodeId('RRU', `${each.id}:${index}`),
    type: rule.type.toUpperCase(),
    parameters: parameters ?? null,
    repositoryRuleset: () => rulesetNode(context, repository, each),
  };
}

/** The rules in force on a branch. */
export function ruleNodes(context, repository, branch) {
  if (unpaid(context.world, repository)) return [];
  return rulesetsOn(context.world, repository, branch).flatMap((each) => each.rules.map((rule, index) => ruleNode(context, repository, each, rule, index)));
}

/** What a classic rule asks of the viewer: the one view of it that needs no administrator. */
export function refUpdateRule(context, repository, branch) {
  const rule = unpaid(context.world, repository) ? undefined : classicOf(repository, branch);
  if (!rule) return null;
  const exempt = administers(context.world, context.token, repository) && !rule.enforce_admins;
  return {
    allowsDeletions: rule.deletions,
    allowsForcePushes: rule.force_pushes,
    blocksCreations: rule.block_creations,
    pattern: rule.pattern,
    requiredApprovingReviewCount: rule.reviews?.count ?? null,
    requiredStatusCheckContexts: rule.checks?.contexts ?? [],
    requiresCodeOwnerReviews: rule.reviews?.code_owners ?? false,
    requiresConversationResolution: rule.conversations,
    requiresLinearHistory: rule.linear,
    requiresSignatures: rule.signatures,
    viewerAllowedToDismissReviews: exempt,
    viewerCanPush: exempt || !rule.reviews,
  };
}
