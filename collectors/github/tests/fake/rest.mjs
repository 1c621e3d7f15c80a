// REST: the table of routes, pages and their Link headers, and what a repository's routes have in common.
//
// A route is `[method, pattern, answer]`. `answer({world, token, origin, query, params, repository, …})` gives the body,
// a `Page`, or throws a Refusal. Branch names in a path may hold slashes, raw or percent-encoded.

import { Refusal, notFound, sees } from './access.mjs';
import { ACCOUNT_ROUTES } from './rest-accounts.mjs';
import { HISTORY_ROUTES } from './rest-history.mjs';
import { PROTECTION_ROUTES } from './rest-protection.mjs';
import { PULL_ROUTES } from './rest-pulls.mjs';

const ROUTES = [...ACCOUNT_ROUTES, ...PROTECTION_ROUTES, ...HISTORY_ROUTES, ...PULL_ROUTES].map(([method, pattern, answer]) => ({
  method,
  answer,
  pattern,
  // `{name}` is one part of the path, `{name+}` one or more.
  expression: new RegExp(`^${pattern.replaceAll('.', '\\.').replace(/\{(\w+)(\+?)\}/g, (_, name, more) => `(?<${name}>${more ? '.+' : '[^/]+'})`)}$`),
}));

/** Answers `{status, body, headers}`, and the route's pattern. */
export function rest(request) {
  const { method, world } = request;
  const path = byNumber(world, request.path);
  for (const route of ROUTES) {
    const found = route.method === method && route.expression.exec(path);
    if (!found) continue;
    const context = { ...request, path, params: decoded(found.groups ?? {}), status: 200, headers: {} };
    if (context.params.repo) repository(context);
    const body = route.answer(context);
    return { status: context.status, headers: context.headers, body, route: route.pattern };
  }
  throw notFound();
}

function decoded(groups) {
  try {
    return Object.fromEntries(Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value)]));
  } catch {
    throw new Refusal(400, 'Bad Request');
  }
}

/** `/repositories/{id}/…`: where redirects of renamed repositories lead, and Link headers if so set. */
function byNumber(world, path) {
  const found = /^\/repositories\/(\d+)(\/.*)?$/.exec(path);
  const repository = found && world.repositories.get(Number(found[1]));
  return repository && !repository.deleted ? `/repos/${repository.owner}/${repository.name}${found[2] ?? ''}` : path;
}

function repository(context) {
  const { world, token, params, origin, path, search } = context;
  const { repository, moved } = world.named(params.owner, params.repo);
  if (!repository || !sees(world, token, repository)) throw notFound();
  // Deleted the moment after it was listed.
  if (repository.hidden_after_listing) throw notFound();
  if (moved) {
    const rest = path.split('/').slice(4).join('/');
    const location = `${origin}/repositories/${repository.id}${rest && `/${rest}`}${search}`;
    throw new Refusal(301, 'Moved Permanently', {
      headers: { Location: location },
      body: { message: 'Moved Permanently', url: location, documentation_url: 'https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects' },
    });
  }
  context.repository = repository;
}
