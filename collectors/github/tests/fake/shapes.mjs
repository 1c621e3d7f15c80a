// GitHub's REST form of accounts, repositories, commits, pull requests and checks.
//
// `origin` is where the client reached the server: `http://host`, or `http://host/api/v3` as on Enterprise Server.

import { createHash } from 'node:crypto';
import { isProtected } from './protection.mjs';

export const HTML = 'https://github.com';

export const nodeId = (kind, id) => `${kind}_${Buffer.from(String(id)).toString('base64url')}`;

/** What REST shows for an account that is gone where the description wants somebody; GraphQL shows null. */
const GHOST = { id: 10137, login: 'ghost', type: 'User' };

export function simpleUser(origin, account) {
  const { id, login, type } = account;
  const url = `${origin}/users/${encodeURIComponent(login)}`;
  return {
    login,
    id,
    node_id: nodeId(type === 'Bot' ? 'BOT' : type === 'Organization' ? 'O' : 'U', id),
    avatar_url: `https://avatars.githubusercontent.com/u/${id}?v=4`,
    gravatar_id: '',
    url,
    html_url: `${HTML}/${type === 'Bot' ? `apps/${login.replace('[bot]', '')}` : login}`,
    followers_url: `${url}/followers`,
    following_url: `${url}/following{/other_user}`,
    gists_url: `${url}/gists{/gist_id}`,
    starred_url: `${url}/starred{/owner}{/repo}`,
    subscriptions_url: `${url}/subscriptions`,
    organizations_url: `${url}/orgs`,
    repos_url: `${url}/repos`,
    events_url: `${url}/events{/privacy}`,
    received_events_url: `${url}/received_events`,
    type,
    user_view_type: 'public',
    site_admin: false,
  };
}

/** An account by login; null for one that is gone, as reviews and pushes show it. */
export function actor(world, origin, login) {
  const account = world.find(login);
  return account && !account.deleted ? simpleUser(origin, account) : null;
}

export const actorOrGhost = (world, origin, login) => actor(world, origin, login) ?? simpleUser(origin, GHOST);

export const fullName = (repository) => `${repository.owner}/${repository.name}`;

const LINKS = `archive_url archive{archive_format}{/ref}
assignees_url assignees{/user}
blobs_url git/blobs{/sha}
branches_url branches{/branch}
collaborators_url collaborators{/collaborator}
comments_url comments{/number}
commits_url commits{/sha}
compare_url compare/{base}...{head}
contents_url contents/{+path}
contributors_url contributors
deployments_url deployments
downloads_url downloads
events_url events
forks_url forks
git_commits_url git/commits{/sha}
git_refs_url git/refs{/sha}
git_tags_url git/tags{/sha}
hooks_url hooks
issue_comment_url issues/comments{/number}
issue_events_url issues/events{/number}
issues_url issues{/number}
keys_url keys{/key_id}
labels_url labels{/name}
languages_url languages
merges_url merges
milestones_url milestones{/number}
notifications_url notifications{?since,all,participating}
pulls_url pulls{/number}
releases_url releases{/id}
stargazers_url stargazers
statuses_url statuses/{sha}
subscribers_url subscribers
subscription_url subscription
tags_url tags
teams_url teams
trees_url git/trees{/sha}`
  .split('\n')
  .map((line) => line.split(' '));

export function repositoryOf(world, origin, token, repository) {
  const { id, name, owner } = repository;
  const url = `${origin}/repos/${owner}/${name}`;
  const role = world.role(repository, token?.login);
  const may = (roles) => token?.kind !== 'installation' && roles.includes(role);
  return {
    id,
    node_id: nodeId('R', id),
    name,
    full_name: fullName(repository),
    private: repository.private,
    owner: simpleUser(origin, world.find(owner)),
    html_url: `${HTML}/${owner}/${name}`,
    description: null,
    fork: repository.fork,
    url,
    ...Object.fromEntries(LINKS.map(([key, path]) => [key, `${url}/${path}`])),
    git_url: `git://github.com/${owner}/${name}.git`,
    ssh_url: `git@github.com:${owner}/${name}.git`,
    clone_url: `${HTML}/${owner}/${name}.git`,
    svn_url: `${HTML}/${owner}/${name}`,
    mirror_url: null,
    homepage: null,
    language: null,
    license: null,
    size: repository.commits.size,
    forks: 0,
    forks_count: 0,
    stargazers_count: 0,
    watchers: 0,
    watchers_count: 0,
    open_issues: 0,
    open_issues_count: 0,
    has_issues: true,
    has_projects: true,
    has_downloads: true,
    has_wiki: true,
    has_pages: false,
    has_discussions: false,
    archived: repository.archived,
    disabled: false,
    allow_forking: true,
    is_template: false,
    web_commit_signoff_required: false,
    topics: [],
    visibility: repository.private ? 'private' : 'public',
    default_branch: repository.default_branch,
    pushed_at: repository.pushed_at ?? repository.created_at,
    created_at: repository.created_at,
    updated_at: repository.updated_at ?? repository.pushed_at ?? repository.created_at,
    permissions: {
      admin: may(['admin']),
      maintain: may(['admin']),
      push: may(['admin', 'write']),
      triage: may(['admin', 'write']),
      pull: may(['admin', 'write', 'read']),
    },
  };
}

export function commitOf(world, origin, repository, commit) {
  const url = `${origin}/repos/${fullName(repository)}`;
  const html = `${HTML}/${fullName(repository)}`;
  const signature = ({ name, email, date }) => ({ name, email, date });
  return {
    sha: commit.oid,
    node_id: nodeId('C', `${repository.id}:${commit.oid}`),
    commit: {
      author: signature(commit.author),
      committer: signature(commit.committer),
      message: commit.message,
      tree: { sha: commit.tree, url: `${url}/git/trees/${commit.tree}` },
      url: `${url}/git/commits/${commit.oid}`,
      comment_count: 0,
      verification: { verified: false, reason: 'unsigned', signature: null, payload: null, verified_at: null },
    },
    url: `${url}/commits/${commit.oid}`,
    html_url: `${html}/commit/${commit.oid}`,
    comments_url: `${url}/commits/${commit.oid}/comments`,
    author: actor(world, origin, commit.author.login),
    committer: actor(world, origin, commit.committer.login),
    parents: commit.parents.map((sha) => ({ sha, url: `${url}/commits/${sha}`, html_url: `${html}/commit/${sha}` })),
  };
}

export const shortBranch = (world, origin, repository, name) => ({
  name,
  commit: { sha: repository.refs.get(name), url: `${origin}/repos/${fullName(repository)}/commits/${repository.refs.get(name)}` },
  protected: isProtected(world, repository, name),
});

export function association(world, repository, login) {
  const owner = world.find(repository.owner);
  if (login === repository.owner) return 'OWNER';
  if (owner?.members?.has(login) || owner?.owners?.has(login)) return 'MEMBER';
  return repository.roles.has(login) ? 'COLLABORATOR' : 'CONTRIBUTOR';
}

/** A pull request as lists have it. */
export function pullOf(world, origin, token, pull) {
  const { repository, number } = pull;
  const url = `${origin}/repos/${fullName(repository)}`;
  const html = `${HTML}/${fullName(repository)}/pull/${number}`;
  const shown = repositoryOf(world, origin, token, repository);
  const links = {
    self: `${url}/pulls/${number}`,
    html,
    issue: `${url}/issues/${number}`,
    comments: `${url}/issues/${number}/comments`,
    review_comments: `${url}/pulls/${number}/comments`,
    review_comment: `${url}/pulls/comments{/number}`,
    commits: `${url}/pulls/${number}/commits`,
    statuses: `${url}/statuses/${pull.head_oid}`,
  };
  const owner = actorOrGhost(world, origin, repository.owner);
  return {
    url: links.self,
    id: pull.id,
    node_id: nodeId('PR', pull.id),
    html_url: html,
    diff_url: `${html}.diff`,
    patch_url: `${html}.patch`,
    issue_url: links.issue,
    commits_url: links.commits,
    review_comments_url: links.review_comments,
    review_comment_url: links.review_comment,
    comments_url: links.comments,
    statuses_url: links.statuses,
    number,
    state: pull.state === 'OPEN' ? 'open' : 'closed',
    locked: false,
    title: pull.title,
    user: actorOrGhost(world, origin, pull.author),
    body: null,
    created_at: pull.created_at,
    updated_at: pull.updated_at,
    closed_at: pull.closed_at,
    merged_at: pull.merged_at,
    merge_commit_sha: pull.merge_oid,
    assignee: null,
    assignees: [],
    requested_reviewers: [],
    requested_teams: [],
    labels: [],
    milestone: null,
    draft: false,
    head: { label: `${repository.owner}:${pull.head}`, ref: pull.head, sha: pull.head_oid, user: owner, repo: shown },
    base: { label: `${repository.owner}:${pull.base}`, ref: pull.base, sha: pull.base_oid, user: owner, repo: shown },
    _links: Object.fromEntries(Object.entries(links).map(([name, href]) => [name, { href }])),
    author_association: association(world, repository, pull.author),
    auto_merge: null,
    active_lock_reason: null,
  };
}

export function fullPullOf(world, origin, token, pull) {
  return {
    ...pullOf(world, origin, token, pull),
    merged: pull.state === 'MERGED',
    mergeable: pull.state === 'OPEN' ? true : null,
    rebaseable: null,
    mergeable_state: pull.state === 'OPEN' ? 'clean' : 'unknown',
    merged_by: pull.merged_by ? actorOrGhost(world, origin, pull.merged_by) : null,
    comments: 0,
    review_comments: 0,
    maintainer_can_modify: false,
    commits: pull.commits.length,
    additions: pull.commits.length,
    deletions: 0,
    changed_files: 1,
  };
}

export function reviewOf(world, origin, review) {
  const { repository, number } = review.pull;
  const html = `${HTML}/${fullName(repository)}/pull/${number}#pullrequestreview-${review.id}`;
  const url = `${origin}/repos/${fullName(repository)}/pulls/${number}`;
  return {
    id: review.id,
    node_id: nodeId('PRR', review.id),
    user: actor(world, origin, review.author),
    body: review.body,
    state: review.state,
    html_url: html,
    pull_request_url: url,
    author_association: association(world, repository, review.author),
    _links: { html: { href: html }, pull_request: { href: url } },
    submitted_at: review.submitted_at,
    commit_id: review.oid,
  };
}

export function appOf(world, origin, slug) {
  const own = slug === world.app.slug;
  const id = own ? world.app.id : 15368;
  return {
    id,
    slug,
    node_id: nodeId('A', id),
    client_id: `Iv1.${id}`,
    owner: actorOrGhost(world, origin, own ? world.app.owner : 'github'),
    name: slug,
    description: '',
    external_url: 'https://example.org/',
    html_url: `${HTML}/apps/${slug}`,
    created_at: '2025-01-01T00:00:00Z',
    updated_at: '2025-01-01T00:00:00Z',
    permissions: own ? world.app.permissions : { checks: 'write', metadata: 'read' },
    events: [],
  };
}

export function checkRunOf(world, origin, repository, run) {
  const url = `${origin}/repos/${fullName(repository)}/check-runs/${run.id}`;
  return {
    id: run.id,
    name: run.name,
    node_id: nodeId('CR', run.id),
    head_sha: run.oid,
    external_id: '',
    url,
    html_url: `${HTML}/${fullName(repository)}/runs/${run.id}`,
    details_url: 'https://example.org/',
    status: run.status,
    conclusion: run.conclusion,
    started_at: run.started_at,
    completed_at: run.completed_at,
    output: { title: null, summary: null, text: null, annotations_count: 0, annotations_url: `${url}/annotations` },
    check_suite: { id: run.suite.id },
    app: appOf(world, origin, run.suite.app),
    pull_requests: [],
  };
}

export function statusOf(origin, repository, status) {
  const { id, context, state, at } = status;
  return {
    url: `${origin}/repos/${fullName(repository)}/statuses/${status.oid}`,
    avatar_url: null,
    id,
    node_id: nodeId('SC', id),
    state,
    description: null,
    target_url: null,
    context,
    created_at: at,
    updated_at: at,
  };
}

export const blobSha = (text) => createHash('sha1').update(`blob ${Buffer.byteLength(text)}\0${text}`).digest('hex');
