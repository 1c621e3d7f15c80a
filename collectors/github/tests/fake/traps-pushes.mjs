// `acme/pushes` and `acme/force-pushed`: commits that came to the branch by no pull request into it.

import { abandon, addSuite, merge, open, review } from './pulls.mjs';
import { minutes } from './scenarios.mjs';
import { tell, tellDirect, tellForced } from './truth.mjs';

export function pushTraps(world, it) {
  const head = () => it.refs.get('main');
  const commit = (parents, author, at, more = {}) => world.commit(it, { parents, author, at, ...more });
  const direct = (oid, commits, actor, at, more = {}) => {
    const push = world.push(it, 'main', oid, { actor, at });
    addSuite(world, it, oid, { push, at });
    const pusher = world.find(actor).deleted ? null : actor;
    tellDirect(world, it, 'main', commits, { pusher, at, ...more });
  };
  approved(world, it, minutes(100));

  const backdated = commit([head()], 'dave', '2025-03-01T10:00:00Z', { message: 'Long ago, it says' });
  direct(backdated, [backdated], 'dave', minutes(200), { trap: 'backdated' });

  const three = [head()];
  for (let index = 0; index < 3; index += 1) three.push(commit([three.at(-1)], 'erin', minutes(290 + index)));
  direct(three.at(-1), three.slice(1), 'erin', minutes(300), { trap: 'several' });

  // A merge made locally: it has two parents, as a pull request's has.
  const side = commit([head()], 'frank', minutes(380));
  const local = commit([head(), side], 'frank', minutes(390), { message: "Merge branch 'side'" });
  direct(local, [side, local], 'frank', minutes(400), { trap: 'local_merge' });

  // The same the other way round: by first parents main's own past is the side branch.
  const other = commit([it.commits.get(head()).parents[0]], 'frank', minutes(480));
  const swapped = commit([other, head()], 'frank', minutes(490), { message: "Merge branch 'main'" });
  direct(swapped, [other, swapped], 'frank', minutes(500), { trap: 'main_is_second_parent' });
  approved(world, it, minutes(520));

  // Reviewed for develop; how develop came here nobody reviewed.
  world.push(it, 'develop', head(), { actor: 'alice', at: minutes(550) });
  const elsewhere = open(world, it, { title: 'Into develop', author: 'alice', at: minutes(560), base: 'develop' });
  review(world, elsewhere, { by: 'bob', at: minutes(570) });
  merge(world, elsewhere, { by: 'alice', at: minutes(580) });
  tell(world, elsewhere, { approved: true, why: ['approved'], counted: ['bob'], last_pusher: 'alice' });
  direct(it.refs.get('develop'), [...elsewhere.commits, elsewhere.merge_oid], 'alice', minutes(600), { trap: 'merged_into_another_branch', pull_request: elsewhere.number });

  const refused = open(world, it, { title: 'Closed, then pushed all the same', author: 'dave', at: minutes(650) });
  abandon(refused, { at: minutes(660) });
  direct(refused.head_oid, [...refused.commits], 'dave', minutes(700), { trap: 'pull_request_not_merged', pull_request: refused.number });

  const ahead = commit([head()], 'dave', '2031-01-01T00:00:00Z', { message: 'Not yet, it says' });
  direct(ahead, [ahead], 'dave', minutes(800), { trap: 'dated_in_the_future' });

  const robot = commit([head()], 'dependabot[bot]', minutes(890), { message: 'Version 2' });
  direct(robot, [robot], 'dependabot[bot]', minutes(900), { trap: 'by_a_bot' });

  // Edited in the browser: GitHub commits it, as it does pull requests' merges.
  const web = commit([head()], 'alice', minutes(1000), { committer: 'web-flow', message: 'Update README.md' });
  direct(web, [web], 'alice', minutes(1000), { trap: 'edited_in_the_browser' });

  const pretended = commit([head()], 'erin', minutes(1100), { message: 'Merge pull request #1 from acme/change-1 (#1)' });
  direct(pretended, [pretended], 'erin', minutes(1100), { trap: 'message_names_a_pull_request' });

  const stranger = commit([head()], 'Somebody Unknown', minutes(1150), { message: 'By nobody that GitHub knows' });
  direct(stranger, [stranger], 'octo-admin', minutes(1160), { trap: 'author_without_account' });

  const lost = commit([head()], 'gone', minutes(1200));
  direct(lost, [lost], 'gone', minutes(1200), { trap: 'pusher_is_gone' });
  approved(world, it, minutes(1300));
}

/** What was there is replaced, then something is replaced and put back, so that the branch looks untouched. */
export function forceTraps(world, it) {
  const kept = approved(world, it, minutes(100));
  const dropped = approved(world, it, minutes(200));
  tell(world, dropped, { approved: true, why: ['approved'], counted: ['bob'], last_pusher: 'alice', on_branch: false });
  const force = (after, at) => {
    const before = it.refs.get('main');
    world.push(it, 'main', after, { actor: 'octo-admin', at, type: 'force_push' });
    tellForced(world, it, 'main', { before, after, pusher: 'octo-admin', at });
    return before;
  };
  const instead = world.commit(it, { parents: [kept.merge_oid], author: 'octo-admin', at: minutes(290), message: 'Instead' });
  force(instead, minutes(300));
  tellDirect(world, it, 'main', [instead], { pusher: 'octo-admin', at: minutes(300), trap: 'by_force' });
  approved(world, it, minutes(400));
  const before = force(kept.merge_oid, minutes(500));
  force(before, minutes(505));
}

function approved(world, repository, at) {
  const from = Date.parse(at);
  const t = (minute) => new Date(from + minute * 60_000).toISOString().replace(/\.\d+Z$/, 'Z');
  const pull = open(world, repository, { author: 'alice', at });
  review(world, pull, { by: 'bob', at: t(5) });
  merge(world, pull, { by: 'alice', at: t(10) });
  tell(world, pull, { approved: true, why: ['approved'], counted: ['bob'], last_pusher: 'alice' });
  return pull;
}
