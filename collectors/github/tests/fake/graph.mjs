// What all of GraphQL's objects share: connections by cursor, people, refusals.

import { GraphQLError } from 'graphql';
import { lacking } from './access.mjs';
import { HTML, nodeId } from './shapes.mjs';

export const refusal = (type, message) => new GraphQLError(message, { extensions: { type } });

export const forbidden = (token) => refusal('FORBIDDEN', lacking(token));

const cursorOf = (key) => Buffer.from(`cursor:v2:${JSON.stringify(key)}`).toString('base64');

function readCursor(cursor) {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64').toString().slice('cursor:v2:'.length));
  } catch {
    throw refusal('INVALID_CURSOR_ARGUMENTS', `\`${cursor}\` does not appear to be a valid cursor.`);
  }
}

/**
 * A connection over a list. A cursor is the place in the list; or, where `order` is `{key, compare}`, the entry's key,
 * as GitHub's lists of pull requests have it: an entry that moves to the front meanwhile is not met again.
 */
export function connection(context, list, args, show, { order, more = {} } = {}) {
  const { first, last, after, before } = args;
  const at = (each, index) => (order ? order.key(each) : index);
  const compare = order ? order.compare : (a, b) => a - b;
  let from = 0;
  let to = list.length;
  if (context.endless) {
    to = Math.min(to, first ?? to);
  } else {
    if (after) {
      const key = readCursor(after);
      const found = list.findIndex((each, index) => compare(at(each, index), key) > 0);
      from = found < 0 ? list.length : found;
    }
    if (before) {
      const key = readCursor(before);
      const found = list.findIndex((each, index) => compare(at(each, index), key) >= 0);
      to = found < 0 ? list.length : found;
    }
    if (first !== undefined && first !== null) to = Math.min(to, from + first);
    else if (last !== undefined && last !== null) from = Math.max(from, to - last);
  }
  const shown = list.slice(from, Math.max(from, to));
  const cursor = (index) => cursorOf(at(shown[index], from + index));
  const nodes = () => shown.map(show);
  return {
    totalCount: list.length,
    nodes,
    edges: () => shown.map((each, index) => ({ node: show(each, index), cursor: cursor(index) })),
    pageInfo: () => ({
      hasNextPage: context.endless || to < list.length,
      hasPreviousPage: from > 0,
      startCursor: shown.length ? cursor(0) : null,
      endCursor: context.endless ? cursorOf(Math.random()) : shown.length ? cursor(shown.length - 1) : null,
    }),
    ...more,
  };
}

/** An account as an Actor, null for one that is gone. A bot's login is without the `[bot]` that REST appends. */
export function person(context, login) {
  const account = context.world.find(login);
  if (!account || account.deleted) return null;
  const { id, type } = account;
  const bare = account.login.replace(/\[bot\]$/, '');
  const url = type === 'Bot' ? `${HTML}/apps/${bare}` : `${HTML}/${bare}`;
  return {
    __typename: type,
    id: nodeId(type === 'Bot' ? 'BOT' : type === 'Organization' ? 'O' : 'U', id),
    databaseId: id,
    login: bare,
    name: account.name,
    email: '',
    url,
    resourcePath: url.slice(HTML.length),
    avatarUrl: `https://avatars.githubusercontent.com/u/${id}?v=4`,
    createdAt: account.created_at,
    updatedAt: account.created_at,
  };
}

/** A User only: what is no user, a bot's commit among them, has none. */
export function user(context, login) {
  const found = person(context, login);
  return found?.__typename === 'User' ? found : null;
}

export const application = (world, slug) => ({
  __typename: 'App',
  id: nodeId('A', slug),
  databaseId: slug === world.app.slug ? world.app.id : 15368,
  slug,
  name: slug,
  description: '',
  url: 'https://example.org/',
  createdAt: '2025-01-01T00:00:00Z',
  updatedAt: '2025-01-01T00:00:00Z',
});
