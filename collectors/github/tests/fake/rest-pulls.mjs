// REST routes about pull requests and their reviews.

import { demand, notFound, Refusal } from './access.mjs';
import { page } from './pages.mjs';
import { fullPullOf, pullOf, reviewOf } from './shapes.mjs';

export const PULL_ROUTES = [
  ['GET', '/repos/{owner}/{repo}/pulls', pulls],
  ['GET', '/repos/{owner}/{repo}/pulls/{number}', pull],
  ['GET', '/repos/{owner}/{repo}/pulls/{number}/reviews', reviews],
];

function pulls(context) {
  const { world, token, repository, query, origin } = context;
  demand(token, repository, 'pull_requests');
  const state = query.get('state') ?? 'open';
  const sort = query.get('sort') ?? 'created';
  if (!['open', 'closed', 'all'].includes(state)) throw new Refusal(422, 'Validation Failed');
  const [base, head] = [query.get('base'), query.get('head')];
  const list = repository.pulls
    .filter((each) => state === 'all' || (each.state === 'OPEN') === (state === 'open'))
    .filter((each) => (!base || each.base === base) && (!head || head === `${repository.owner}:${each.head}`));
  const key = sort === 'updated' ? 'updated_at' : 'created_at';
  list.sort((a, b) => (a[key] === b[key] ? a.number - b.number : a[key] < b[key] ? -1 : 1));
  // By creation the newest come first unless told otherwise; in any other order the oldest do.
  if ((query.get('direction') ?? (sort === 'created' ? 'desc' : 'asc')) === 'desc') list.reverse();
  return page(context, list, (each) => pullOf(world, origin, token, each));
}

function numbered({ token, repository, params }) {
  demand(token, repository, 'pull_requests');
  const found = repository.pulls.find(({ number }) => number === Number(params.number));
  if (!found) throw notFound('https://docs.github.com/rest/pulls/pulls#get-a-pull-request');
  return found;
}

function pull(context) {
  return fullPullOf(context.world, context.origin, context.token, numbered(context));
}

/** In the order of submission; a page of 30 is not all of them. */
function reviews(context) {
  const { world, origin } = context;
  const list = [...numbered(context).reviews].sort((a, b) => (a.submitted_at < b.submitted_at ? -1 : 1));
  return page(context, list, (each) => reviewOf(world, origin, each));
}
