// Lists by pages, with Link headers in GitHub's form: by number, or by cursor where GitHub has only that.

import { Refusal } from './access.mjs';

const number = (text, fallback, least, most) => {
  const value = Number.parseInt(text ?? '', 10);
  return Number.isNaN(value) ? fallback : Math.min(most, Math.max(least, value));
};

/** One page of a list. Nothing is shown that the page does not hold: `show` sees its entries only. */
export function page(context, list, show, { size = 30 } = {}) {
  const { query } = context;
  const per = number(query.get('per_page'), size, 1, 100);
  const at = number(query.get('page'), 1, 1, Number.MAX_SAFE_INTEGER);
  const last = Math.max(1, Math.ceil(list.length / per));
  const links = [];
  const to = (page) => ({ page: String(page) });
  if (at > 1) links.push([to(Math.min(at - 1, last)), 'prev']);
  if (at < last || context.endless) links.push([to(at + 1), 'next']);
  if (at < last && !context.endless) links.push([to(last), 'last']);
  if (at > 1) links.push([to(1), 'first']);
  link(context, links);
  const from = context.endless ? 0 : (at - 1) * per;
  return list.slice(from, from + per).map(show);
}

/** One page of a list between `before` and `after`, cursors that the last Link gave. */
export function cursorPage(context, list, show, key) {
  const { query } = context;
  const per = number(query.get('per_page'), 30, 1, 100);
  const place = (name) => {
    const cursor = query.get(name);
    if (!cursor) return -1;
    const at = list.findIndex((each) => encoded(key(each)) === cursor);
    if (at < 0) throw new Refusal(422, `Invalid cursor: ${name}`);
    return at;
  };
  const [after, before] = context.endless ? [-1, -1] : [place('after'), place('before')];
  const from = before >= 0 ? Math.max(0, before - per) : after + 1;
  const shown = list.slice(from, before >= 0 ? before : from + per);
  const links = [];
  if (shown.length > 0 && (from + shown.length < list.length || context.endless)) links.push([{ after: encoded(key(shown.at(-1))), before: null }, 'next']);
  if (shown.length > 0 && from > 0) links.push([{ before: encoded(key(shown[0])), after: null }, 'prev']);
  link(context, links);
  return shown.map(show);
}

const encoded = (key) => Buffer.from(`cursor ${key}`).toString('base64url');

function link(context, links) {
  if (links.length === 0) return;
  const { origin, path, repository, world } = context;
  // GitHub's own links name repositories by number; the description has no such paths, so that this is a setting.
  const shown = repository && world.settings.links === 'by_id' ? path.replace(/^\/repos\/[^/]+\/[^/]+/, `/repositories/${repository.id}`) : path;
  context.headers.Link = links
    .map(([changes, relation]) => {
      const query = new URLSearchParams(context.query);
      for (const [name, value] of Object.entries(changes)) {
        if (value === null) query.delete(name);
        else query.set(name, value);
      }
      return `<${origin}${shown}?${query}>; rel="${relation}"`;
    })
    .join(', ');
}
