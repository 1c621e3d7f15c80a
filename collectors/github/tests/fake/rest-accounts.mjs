// REST routes about accounts, Apps, and which repositories there are.

import { budget, demand, issue, listed, notFound, Refusal, sees } from './access.mjs';
import { page } from './pages.mjs';
import { appOf, HTML, nodeId, repositoryOf, simpleUser } from './shapes.mjs';

export const ACCOUNT_ROUTES = [
  ['GET', '/user', user],
  ['GET', '/rate_limit', rateLimit],
  ['GET', '/app', app],
  ['GET', '/app/installations', installations],
  ['POST', '/app/installations/{id}/access_tokens', accessToken],
  ['GET', '/orgs/{org}/installation', organizationInstallation],
  ['GET', '/repos/{owner}/{repo}/installation', repositoryInstallation],
  ['GET', '/installation/repositories', installationRepositories],
  ['GET', '/orgs/{org}', organization],
  ['GET', '/users/{login}', anyUser],
  ['GET', '/orgs/{org}/repos', organizationRepositories],
  ['GET', '/users/{login}/repos', userRepositories],
  ['GET', '/repos/{owner}/{repo}', repository],
];

const counts = { public_gists: 0, followers: 0, following: 0 };

function user({ world, token, origin }) {
  if (!token) throw new Refusal(401, 'Requires authentication');
  if (token.kind === 'installation') throw new Refusal(403, 'Resource not accessible by integration');
  if (token.kind === 'app') throw new Refusal(403, 'Resource not accessible by integration');
  const account = world.find(token.login);
  return {
    ...publicUser(world, origin, account),
    ...(token.kind === 'classic' && {
      private_gists: 0,
      total_private_repos: 0,
      owned_private_repos: 0,
      disk_usage: 0,
      collaborators: 0,
      two_factor_authentication: true,
    }),
  };
}

function publicUser(world, origin, account) {
  return {
    ...simpleUser(origin, account),
    name: account.name,
    company: null,
    blog: '',
    location: null,
    email: null,
    hireable: null,
    bio: null,
    public_repos: world.owned(account.login).filter((each) => !each.private).length,
    ...counts,
    created_at: account.created_at,
    updated_at: account.created_at,
  };
}

function anyUser({ world, params, origin }) {
  const account = world.find(params.login);
  if (!account || account.deleted) throw notFound('https://docs.github.com/rest/users/users#get-a-user');
  return publicUser(world, origin, account);
}

function rateLimit({ world, token }) {
  const shown = (resource) => {
    const { limit, used, reset } = budget(world, token, resource);
    return { limit, used, remaining: Math.max(0, limit - used), reset };
  };
  const core = shown('core');
  return { resources: { core, search: { limit: 30, used: 0, remaining: 30, reset: core.reset }, graphql: shown('graphql') }, rate: core };
}

function byApp(token) {
  if (token?.kind !== 'app') throw new Refusal(401, 'A JSON web token could not be decoded');
}

function app({ world, token, origin }) {
  byApp(token);
  return { ...appOf(world, origin, world.app.slug), installations_count: world.installations.size };
}

function installationOf(world, origin, installation) {
  const account = world.find(installation.account);
  return {
    id: installation.id,
    account: simpleUser(origin, account),
    repository_selection: installation.repositories === 'all' ? 'all' : 'selected',
    access_tokens_url: `${origin}/app/installations/${installation.id}/access_tokens`,
    repositories_url: `${origin}/installation/repositories`,
    html_url: `${HTML}/organizations/${account.login}/settings/installations/${installation.id}`,
    app_id: world.app.id,
    app_slug: world.app.slug,
    target_id: account.id,
    target_type: account.type,
    permissions: installation.permissions,
    events: [],
    created_at: '2026-02-01T09:00:00Z',
    updated_at: '2026-02-01T09:00:00Z',
    single_file_name: null,
    has_multiple_single_files: false,
    single_file_paths: [],
    suspended_by: null,
    suspended_at: null,
  };
}

function installations(context) {
  byApp(context.token);
  return page(context, [...context.world.installations.values()], (each) => installationOf(context.world, context.origin, each));
}

function installationOn({ world, origin, token }, login, repository) {
  byApp(token);
  const found = [...world.installations.values()].find(
    (each) => each.account.toLowerCase() === login.toLowerCase() && (!repository || each.repositories === 'all' || each.repositories.includes(repository.id)),
  );
  if (!found) throw notFound();
  return installationOf(world, origin, found);
}

function organizationInstallation(context) {
  return installationOn(context, context.params.org);
}

function repositoryInstallation(context) {
  return installationOn(context, context.repository.owner, context.repository);
}

function accessToken(context) {
  const { world, params, token, json, origin } = context;
  byApp(token);
  const installation = world.installations.get(Number(params.id));
  if (!installation) throw notFound();
  for (const [name, level] of Object.entries(json?.permissions ?? {})) {
    const given = installation.permissions[name];
    if (!given || (level === 'write' && given === 'read')) {
      throw new Refusal(422, 'The permissions requested are not granted to this installation.');
    }
  }
  let repositories;
  if (json?.repositories || json?.repository_ids) {
    const wanted = world.owned(installation.account).filter((each) => json.repositories?.includes(each.name) || json.repository_ids?.includes(each.id));
    repositories = wanted.map(({ id }) => id);
  }
  const issued = issue(world, installation, { repositories, permissions: json?.permissions });
  context.status = 201;
  return {
    token: issued.value,
    expires_at: issued.expires_at,
    permissions: issued.permissions,
    repository_selection: issued.repositories === 'all' ? 'all' : 'selected',
    ...(repositories && { repositories: repositories.map((id) => repositoryOf(world, origin, issued, world.repositories.get(id))) }),
  };
}

function installationRepositories(context) {
  const { world, token, origin } = context;
  if (token?.kind !== 'installation') {
    throw new Refusal(403, 'You must authenticate with an installation access token in order to list repositories for an installation.');
  }
  const list = world.owned(token.installation.account).filter((each) => listed(token, each));
  return {
    total_count: list.length,
    repository_selection: token.repositories === 'all' ? 'all' : 'selected',
    repositories: page(context, list, (each) => repositoryOf(world, origin, token, each)),
  };
}

function organization({ world, token, params, origin }) {
  const account = world.find(params.org);
  if (account?.type !== 'Organization') throw notFound('https://docs.github.com/rest/orgs/orgs#get-an-organization');
  const { login, id, name } = account;
  const url = `${origin}/orgs/${login}`;
  const member = account.members.has(token?.login) || account.owners.has(token?.login);
  const owner = token?.kind === 'classic' ? account.owners.has(token.login) && token.scopes.includes('admin:org') : token?.permissions?.organization_administration;
  const repositories = world.owned(login);
  const hidden = repositories.filter((each) => each.private).length;
  return {
    login,
    id,
    node_id: nodeId('O', id),
    url,
    repos_url: `${url}/repos`,
    events_url: `${url}/events`,
    hooks_url: `${url}/hooks`,
    issues_url: `${url}/issues`,
    members_url: `${url}/members{/member}`,
    public_members_url: `${url}/public_members{/member}`,
    avatar_url: `https://avatars.githubusercontent.com/u/${id}?v=4`,
    description: null,
    name,
    is_verified: false,
    has_organization_projects: true,
    has_repository_projects: true,
    public_repos: repositories.length - hidden,
    ...counts,
    html_url: `${HTML}/${login}`,
    created_at: account.created_at,
    updated_at: account.created_at,
    archived_at: null,
    type: 'Organization',
    // Members and installations see how many private repositories there are; two-factor's state is the owners'.
    ...(((member && token.kind === 'classic') || owner || (token?.kind === 'installation' && token.repositories === 'all')) && { total_private_repos: hidden, owned_private_repos: hidden }),
    ...(owner && {
      two_factor_requirement_enabled: account.two_factor_required,
      plan: { name: account.plan, space: 976562499, private_repos: 999999, filled_seats: account.members.size, seats: 50 },
      default_repository_permission: 'write',
      members_can_create_repositories: false,
    }),
  };
}

const SORTS = { created: 'created_at', updated: 'updated_at', pushed: 'pushed_at' };

function ordered(list, query) {
  const sort = query.get('sort') ?? 'created';
  const direction = query.get('direction') ?? (sort === 'full_name' ? 'asc' : 'desc');
  const key = (each) => (sort === 'full_name' ? each.name : `${each[SORTS[sort]] ?? each.created_at} ${String(each.id).padStart(9, '0')}`);
  const sorted = [...list].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  return direction === 'desc' ? sorted.reverse() : sorted;
}

function organizationRepositories(context) {
  const { world, token, params, query, origin } = context;
  const account = world.find(params.org);
  if (account?.type !== 'Organization') throw notFound('https://docs.github.com/rest/repos/repos#list-organization-repositories');
  const kind = query.get('type') ?? 'all';
  const wanted = { public: (each) => !each.private, private: (each) => each.private, forks: (each) => each.fork, sources: (each) => !each.fork }[kind];
  const list = world.owned(account.login).filter((each) => sees(world, token, each) && (!wanted || wanted(each)));
  return page(context, ordered(list, query), (each) => repositoryOf(world, origin, token, each));
}

function userRepositories(context) {
  const { world, token, params, query, origin } = context;
  const account = world.find(params.login);
  if (!account || account.deleted) throw notFound();
  // Public ones only, even for their owner: the private ones are at another route.
  const list = world.owned(account.login).filter((each) => !each.private);
  return page(context, ordered(list, query), (each) => repositoryOf(world, origin, token, each));
}

function repository({ world, token, repository, origin }) {
  demand(token, repository, 'metadata');
  const { permissions, ...shown } = repositoryOf(world, origin, token, repository);
  const owner = world.find(repository.owner);
  return {
    ...shown,
    permissions,
    network_count: 0,
    subscribers_count: 0,
    ...(owner.type === 'Organization' && { organization: simpleUser(origin, owner) }),
  };
}
