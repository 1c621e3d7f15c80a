// Who asks, what they may see, and what is left of their rate limit.
//
// Three kinds of token: `classic` (scopes; may what its user may), `fine` (a list of permissions over all or some
// repositories) and `installation` (as fine, for an App). Public repositories are readable by each of them, as on GitHub.

import { createVerify } from 'node:crypto';

const LEVELS = ['none', 'read', 'write', 'admin'];
const DOCS = 'https://docs.github.com/rest';

/** What a route answers with instead of a body. */
export class Refusal extends Error {
  constructor(status, message, { headers = {}, documentation_url = DOCS, body } = {}) {
    super(message);
    Object.assign(this, { status, headers, documentation_url, body });
  }
}

export const notFound = (documentation_url) => new Refusal(404, 'Not Found', { documentation_url });

/** The token behind a request, null without one. */
export function identify(world, authorization) {
  if (!authorization) return null;
  const [scheme, value = ''] = authorization.split(' ');
  if (!/^(token|bearer)$/i.test(scheme)) throw new Refusal(401, 'Bad credentials');
  if (value.split('.').length === 3) return application(world, value);
  const token = world.tokens.get(value);
  // An unknown one, one that was revoked and one that has run out look the same.
  if (!token || token.revoked || (token.expires_at && Date.parse(token.expires_at) <= Date.now())) {
    throw new Refusal(401, 'Bad credentials');
  }
  return token;
}

/** Tokens and assertions live by this machine's clock, whatever the fake's says: clients sign and renew by it. */
function application(world, jwt) {
  const [header, claims, signature] = jwt.split('.');
  const undecodable = new Refusal(401, 'A JSON web token could not be decoded');
  let read;
  try {
    if (JSON.parse(Buffer.from(header, 'base64url')).alg !== 'RS256') throw undecodable;
    read = JSON.parse(Buffer.from(claims, 'base64url'));
  } catch {
    throw undecodable;
  }
  const sound = createVerify('RSA-SHA256').update(`${header}.${claims}`).verify(world.app.keys.publicKey, signature, 'base64url');
  if (!sound) throw undecodable;
  const now = Date.now() / 1000;
  if (String(read.iss) !== String(world.app.id) && read.iss !== `Iv1.${world.app.id}`) throw new Refusal(404, 'Integration not found');
  if (!Number.isInteger(read.exp)) throw new Refusal(401, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires");
  if (read.exp <= now) throw new Refusal(401, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires");
  if (read.exp > now + 660) throw new Refusal(401, "'Expiration time' claim ('exp') is too far in the future");
  if (!Number.isInteger(read.iat) || read.iat > now + 60) throw new Refusal(401, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued");
  return { name: 'app-jwt', kind: 'app', login: null, permissions: {}, repositories: [] };
}

/** A new token of an installation, which an hour later is worth nothing. */
export function issue(world, installation, { repositories, permissions } = {}) {
  const number = world.id();
  const token = {
    name: `${installation.name}-${number}`,
    value: `ghs_${installation.name.replace(/\W/g, '')}${String(number).padStart(30, '0')}`,
    kind: 'installation',
    login: `${world.app.slug}[bot]`,
    installation,
    permissions: permissions ?? installation.permissions,
    repositories: repositories ?? installation.repositories,
    expires_at: new Date(Date.now() + world.settings.token_seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z'),
  };
  world.tokens.set(token.value, token);
  return token;
}

/** Whether a token was given a repository; a fine-grained one is for one owner's only. */
export function listed(token, repository) {
  if (token?.owner && token.owner !== repository.owner) return false;
  return token?.repositories === 'all' || Boolean(token?.repositories?.includes(repository.id));
}

/** Whether a repository exists for a token at all. */
export function sees(world, token, repository) {
  if (repository.deleted) return false;
  if (!repository.private) return true;
  if (!token || token.kind === 'app') return false;
  if (token.kind === 'classic') return token.scopes.includes('repo') && world.role(repository, token.login) !== null;
  if (token.kind === 'installation') return listed(token, repository) && token.installation.account === repository.owner;
  return listed(token, repository) && world.role(repository, token.login) !== null;
}

/** Whether a token was given a permission, such as `administration: 'read'`, over a repository. */
export function grants(token, repository, permission, level = 'read') {
  if (!token || token.kind === 'app') return false;
  if (token.kind === 'classic') return true;
  // What anybody may read of a public repository needs no permission.
  const open = repository && !repository.private && level === 'read' && ['metadata', 'contents', 'pull_requests', 'checks', 'statuses', 'deployments'].includes(permission);
  if (open) return true;
  if (repository && !listed(token, repository)) return false;
  return LEVELS.indexOf(token.permissions[permission] ?? 'none') >= LEVELS.indexOf(level);
}

/** Whether a token's user administers a repository, as far as the token lets them. */
export function administers(world, token, repository, level = 'read') {
  if (!grants(token, repository, 'administration', level)) return false;
  return token.kind === 'installation' || world.role(repository, token.login) === 'admin';
}

/** Refuses as GitHub does: who lacks a permission is told so, by which header it was wanted in too. */
export function demand(token, repository, permission, level = 'read') {
  if (!token && repository && !repository.private) return;
  if (grants(token, repository, permission, level)) return;
  throw new Refusal(403, lacking(token), { headers: { 'X-Accepted-GitHub-Permissions': `${permission}=${level}` } });
}

export const lacking = (token) =>
  `Resource not accessible by ${token?.kind === 'installation' ? 'integration' : 'personal access token'}`;

/** The present hour's account of a token, for `core` or `graphql`. */
export function budget(world, token, resource) {
  const holder = token ?? world.anonymous ?? (world.anonymous = { name: 'anonymous' });
  holder.budgets ??= {};
  const now = Math.floor(world.clock.milliseconds() / 1000);
  const known = holder.budgets[resource];
  const limit = token ? world.settings[`${resource}_limit`] : 60;
  if (known && known.reset > now) return Object.assign(known, { limit });
  return (holder.budgets[resource] = { resource, limit, used: 0, reset: now + 3600 });
}

export function limitHeaders({ limit, used, reset, resource }) {
  return {
    'x-ratelimit-limit': limit,
    'x-ratelimit-remaining': Math.max(0, limit - used),
    'x-ratelimit-used': used,
    'x-ratelimit-reset': reset,
    'x-ratelimit-resource': resource,
  };
}
