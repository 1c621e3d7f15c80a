// GraphQL's root, repositories, branches and accounts.

import { administers, budget, grants, listed, sees } from './access.mjs';
import { connection, forbidden, person, refusal } from './graph.mjs';
import { commitById, commitNode } from './graph-commits.mjs';
import { classicNode, refUpdateRule, ruleNodes, rulesetNode } from './graph-protection.mjs';
import { pullById, pullNode, pullsConnection } from './graph-pulls.mjs';
import { classicOf, rulesetsOver, unpaid } from './protection.mjs';
import { fullName, HTML, nodeId } from './shapes.mjs';

export function root(context) {
  const { world, token } = context;
  return {
    viewer: () => {
      const found = person(context, token.login);
      // The schema's viewer is a User, and GitHub shows an App's bot as one.
      return { ...found, __typename: 'User' };
    },
    rateLimit: () => {
      const { limit, used, reset } = budget(world, token, 'graphql');
      const spent = Math.min(limit, used + context.cost);
      return { limit, cost: context.cost, used: spent, remaining: limit - spent, resetAt: new Date(reset * 1000).toISOString().replace(/\.\d+Z$/, 'Z'), nodeCount: context.nodes };
    },
    repository: ({ owner, name }) => {
      const { repository } = world.named(owner, name);
      if (!repository || !sees(world, token, repository) || repository.hidden_after_listing) {
        throw refusal('NOT_FOUND', `Could not resolve to a Repository with the name '${owner}/${name}'.`);
      }
      return repositoryNode(context, repository);
    },
    organization: ({ login }) => {
      const found = world.find(login);
      if (found?.type !== 'Organization') throw refusal('NOT_FOUND', `Could not resolve to an Organization with the login of '${login}'.`);
      return organizationNode(context, found);
    },
    user: ({ login }) => {
      const found = person(context, login);
      if (found?.__typename !== 'User') throw refusal('NOT_FOUND', `Could not resolve to a User with the login of '${login}'.`);
      return { ...found, repositories: (args) => repositories(context, login, args) };
    },
    repositoryOwner: ({ login }) => {
      const found = world.find(login);
      if (!found || found.deleted) return null;
      return found.type === 'Organization' ? organizationNode(context, found) : { ...person(context, login), repositories: (args) => repositories(context, login, args) };
    },
    node: ({ id }) => byId(context, id),
    nodes: ({ ids }) => ids.map((id) => notThrown(() => byId(context, id))),
  };
}

/** An error in one place of a list leaves the others, as GitHub's does: graphql-js takes an Error for that place's. */
function notThrown(make) {
  try {
    return make();
  } catch (error) {
    return error;
  }
}

function byId(context, id) {
  const missing = refusal('NOT_FOUND', `Could not resolve to a node with the global id of '${id}'`);
  const kind = id.split('_')[0];
  let found = null;
  if (kind === 'R') {
    const repository = context.world.repositories.get(Number(Buffer.from(id.slice(2), 'base64url').toString()));
    found = repository && sees(context.world, context.token, repository) && repositoryNode(context, repository);
  } else if (kind === 'PR') found = pullById(context, id);
  else if (kind === 'C') found = commitById(context, id);
  if (!found) throw missing;
  return found;
}

function organizationNode(context, account) {
  const { world, token } = context;
  const owner = account.owners.has(token.login);
  return {
    ...person(context, account.login),
    viewerCanAdminister: owner,
    viewerIsAMember: account.members.has(token.login) || owner,
    // Null to all but owners.
    requiresTwoFactorAuthentication: owner ? account.two_factor_required : null,
    repositories: (args) => repositories(context, account.login, args),
    repository: ({ name }) => {
      const { repository } = world.named(account.login, name);
      return repository && sees(world, token, repository) ? repositoryNode(context, repository) : null;
    },
  };
}

function repositories(context, login, args) {
  const { world, token } = context;
  const list = world
    .owned(login)
    .filter((each) => sees(world, token, each))
    .filter((each) => (args.isFork ?? each.fork) === each.fork && (args.isArchived ?? each.archived) === each.archived)
    .filter((each) => !args.privacy || (args.privacy === 'PRIVATE') === each.private);
  const sign = args.orderBy?.direction === 'DESC' ? -1 : 1;
  const field = { NAME: 'name', PUSHED_AT: 'pushed_at', UPDATED_AT: 'updated_at', CREATED_AT: 'created_at' }[args.orderBy?.field] ?? 'id';
  list.sort((a, b) => sign * (a[field] === b[field] ? a.id - b.id : a[field] < b[field] ? -1 : 1));
  return connection(context, list, args, (each) => repositoryNode(context, each), { more: { totalDiskUsage: 0 } });
}

export function repositoryNode(context, repository) {
  const { world, token } = context;
  if (!sees(world, token, repository)) return null;
  const role = world.role(repository, token.login);
  const url = `${HTML}/${fullName(repository)}`;
  const contents = () => {
    if (!grants(token, repository, 'contents')) throw forbidden(token);
  };
  return {
    __typename: 'Repository',
    id: nodeId('R', repository.id),
    databaseId: repository.id,
    name: repository.name,
    nameWithOwner: fullName(repository),
    owner: () => person(context, repository.owner),
    url,
    resourcePath: url.slice(HTML.length),
    description: null,
    createdAt: repository.created_at,
    updatedAt: repository.updated_at ?? repository.pushed_at ?? repository.created_at,
    pushedAt: repository.pushed_at ?? null,
    archivedAt: null,
    isArchived: repository.archived,
    isDisabled: false,
    isEmpty: repository.refs.size === 0,
    isFork: repository.fork,
    isInOrganization: world.find(repository.owner).type === 'Organization',
    isLocked: false,
    isMirror: false,
    isPrivate: repository.private,
    isTemplate: false,
    visibility: repository.private ? 'PRIVATE' : 'PUBLIC',
    viewerCanAdminister: administers(world, token, repository),
    viewerPermission: token.kind === 'installation' ? (listed(token, repository) ? 'READ' : null) : (role?.toUpperCase() ?? null),
    mergeCommitAllowed: true,
    squashMergeAllowed: true,
    rebaseMergeAllowed: true,
    autoMergeAllowed: false,
    defaultBranchRef: () => (contents(), refNode(context, repository, repository.default_branch)),
    ref: ({ qualifiedName }) => (contents(), refNode(context, repository, qualifiedName.replace(/^refs\/heads\//, ''))),
    refs: (args) => {
      contents();
      if (!'refs/heads/'.startsWith(args.refPrefix)) return connection(context, [], args, () => null);
      const names = [...repository.refs.keys()].filter((name) => !args.query || name.includes(args.query)).sort();
      return connection(context, names, args, (name) => refNode(context, repository, name));
    },
    object: ({ oid, expression }) => {
      contents();
      const found = oid ?? world.resolve(repository, expression ?? '');
      return found ? commitNode(context, repository, found) : null;
    },
    pullRequest: ({ number }) => {
      const found = repository.pulls.find((each) => each.number === number);
      if (!found) throw refusal('NOT_FOUND', `Could not resolve to a PullRequest with the number of ${number}.`);
      return pullNode(context, found);
    },
    pullRequests: (args) => {
      if (!grants(token, repository, 'pull_requests')) throw forbidden(token);
      return pullsConnection(context, [...repository.pulls], args);
    },
    branchProtectionRules: (args) => {
      if (!grants(token, repository, 'administration')) throw forbidden(token);
      // To who is no administrator the list is empty, without an error.
      const list = administers(world, token, repository) && !unpaid(world, repository) ? repository.protections : [];
      return connection(context, list, args, (rule) => classicNode(context, repository, rule));
    },
    rulesets: (args) => {
      const list = unpaid(world, repository) ? [] : rulesetsOver(world, repository, args.includeParents !== false);
      return connection(context, list, args, (each) => rulesetNode(context, repository, each));
    },
    ruleset: ({ databaseId, includeParents }) => {
      const found = rulesetsOver(world, repository, includeParents !== false).find(({ id }) => id === databaseId);
      return found ? rulesetNode(context, repository, found) : null;
    },
    codeowners: () => {
      contents();
      if (!repository.codeowners) return null;
      return { errors: repository.codeowners.errors.map((each) => ({ suggestion: null, source: '', ...each })) };
    },
    deployments: (args) => {
      if (!grants(token, repository, 'deployments')) throw forbidden(token);
      return connection(context, repository.deployments, args, (each) => ({
        __typename: 'Deployment',
        id: nodeId('DE', each.id),
        databaseId: each.id,
        commitOid: each.sha,
        createdAt: each.at,
        updatedAt: each.at,
        environment: each.environment,
        creator: () => person(context, each.creator),
        commit: () => commitNode(context, repository, each.sha),
        ref: () => refNode(context, repository, each.ref),
        repository: () => repositoryNode(context, repository),
      }));
    },
  };
}

export function refNode(context, repository, name) {
  const { world, token } = context;
  const oid = repository.refs.get(name);
  if (!oid) return null;
  return {
    __typename: 'Ref',
    id: nodeId('REF', `${repository.id}:${name}`),
    name,
    prefix: 'refs/heads/',
    target: () => commitNode(context, repository, oid),
    repository: () => repositoryNode(context, repository),
    associatedPullRequests: (args) => pullsConnection(context, repository.pulls.filter(({ head }) => head === name), args),
    branchProtectionRule: () => {
      if (!grants(token, repository, 'administration')) throw forbidden(token);
      const rule = administers(world, token, repository) && !unpaid(world, repository) ? classicOf(repository, name) : undefined;
      return rule ? classicNode(context, repository, rule) : null;
    },
    refUpdateRule: () => refUpdateRule(context, repository, name),
    rules: (args) => connection(context, ruleNodes(context, repository, name), args, (rule) => rule),
    compare: ({ headRef }) => {
      const head = world.resolve(repository, headRef);
      if (!head) return null;
      const { status, ahead, behind } = world.compare(repository, oid, head);
      return {
        __typename: 'Comparison',
        id: nodeId('CMP', `${oid}:${head}`),
        aheadBy: ahead.length,
        behindBy: behind.length,
        status: status.toUpperCase(),
        baseTarget: () => commitNode(context, repository, oid),
        headTarget: () => commitNode(context, repository, head),
        commits: (args) => connection(context, ahead, args, (each) => commitNode(context, repository, each.oid)),
      };
    },
  };
}
