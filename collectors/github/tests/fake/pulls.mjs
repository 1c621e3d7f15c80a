// What people do with pull requests: open, push to, review, check, dismiss, queue and merge them.

import { ZERO } from './world.mjs';

/** Opens one whose branch starts at its base's head; `commits` are made by the author unless they say otherwise. */
export function open(world, repository, given) {
  const { author, at, base = repository.default_branch, head, title = `Change ${repository.pulls.length + 1}` } = given;
  const pull = {
    id: world.id(),
    number: repository.pulls.length + 1,
    repository,
    title,
    author,
    base,
    head: head ?? `change-${repository.pulls.length + 1}`,
    base_oid: repository.refs.get(base),
    head_oid: null,
    cross: given.cross ?? false,
    created_at: at,
    updated_at: at,
    closed_at: null,
    merged_at: null,
    merged_by: null,
    merge_oid: null,
    state: 'OPEN',
    commits: [],
    reviews: [],
    events: [],
  };
  repository.pulls.push(pull);
  pushed(world, pull, { by: given.pusher ?? author, at, commits: given.commits ?? [{}] });
  return pull;
}

/** Pushes to the head branch. Each entry of `commits` may name `author`, `at`, `message`; a suite notes the pusher. */
export function pushed(world, pull, { by, at, commits = [{}], force = false, suite = true }) {
  const { repository } = pull;
  const before = pull.head_oid;
  if (force) pull.commits = [];
  let oid = force || !before ? pull.base_oid : before;
  for (const commit of commits) {
    oid = world.commit(repository, { parents: [oid], author: pull.author, at, message: pull.title, ...commit });
    pull.commits.push(oid);
    relate(repository, oid, pull);
  }
  pull.head_oid = oid;
  pull.updated_at = at;
  // A fork has a log of its own, which nobody asks this repository for.
  const push = pull.cross ? { id: world.id(), before, after: oid, actor: by } : world.push(repository, pull.head, oid, { actor: by, at });
  if (suite) addSuite(world, repository, oid, { push, at });
  if (force && before) event(world, pull, 'HeadRefForcePushedEvent', { at, actor: by, before, after: oid });
  return oid;
}

/** GitHub's record that an application was asked to look at a push; it is where a pusher can be read. */
export function addSuite(world, repository, oid, { push = null, at, app = 'github-actions' }) {
  const suite = { id: world.id(), oid, push, at, app };
  append(repository.check_suites, oid, suite);
  return suite;
}

/** A check run on a commit, in the commit's suite. `conclusion` null: it is not completed. */
export function check(world, repository, oid, { name = 'test', conclusion = 'success', started_at, completed_at = started_at, app }) {
  const suites = repository.check_suites.get(oid) ?? [];
  const suite = suites.find((each) => each.app === (app ?? each.app)) ?? addSuite(world, repository, oid, { at: started_at, app });
  const run = {
    id: world.id(),
    oid,
    suite,
    name,
    status: conclusion ? 'completed' : 'in_progress',
    conclusion,
    started_at,
    completed_at: conclusion ? completed_at : null,
  };
  append(repository.check_runs, oid, run);
  return run;
}

/** The older kind of check: a status that somebody set on a commit. */
export function status(world, repository, oid, { context = 'ci/build', state = 'success', at, creator = null }) {
  append(repository.statuses, oid, { id: world.id(), oid, context, state, at, creator });
}

/** A review of the head as it is, or of `oid`. */
export function review(world, pull, { by, at, state = 'APPROVED', oid = pull.head_oid, body = '' }) {
  const given = { id: world.id(), pull, author: by, state, submitted_at: at, oid, body, dismissed: null };
  given.can_push = ['admin', 'write'].includes(world.role(pull.repository, by));
  pull.reviews.push(given);
  if (at > pull.updated_at) pull.updated_at = at;
  return given;
}

/** Overwrites the review's state; what it was is only in the timeline. */
export function dismiss(world, pull, reviewed, { by, at }) {
  event(world, pull, 'ReviewDismissedEvent', { at, actor: by, review: reviewed, previous: reviewed.state });
  reviewed.state = 'DISMISSED';
  pull.updated_at = at;
}

export function event(world, pull, type, more) {
  pull.events.push({ id: world.id(), type, ...more });
}

/** Merges by `method`: 'merge', 'squash', 'rebase' or 'queue', by a bot; then deletes the head's branch. */
export function merge(world, pull, { by, at, method = 'merge', queued_at = at, keep_head = false }) {
  const { repository, base } = pull;
  const target = repository.refs.get(base);
  const actor = method === 'queue' ? 'github-merge-queue[bot]' : by;
  const made = { author: pull.author, committer: 'web-flow', at, message: `${pull.title} (#${pull.number})` };
  let oid;
  if (method === 'rebase') {
    oid = target;
    for (const each of pull.commits) {
      const { author, message } = repository.commits.get(each);
      // The author's date stays, the committer's is the merge's: a new sha each.
      oid = world.commit(repository, { parents: [oid], author: author.login ?? author.name, committer: by, at: author.date, committed_at: at, message });
      relate(repository, oid, pull);
    }
  } else {
    const parents = method === 'squash' ? [target] : [target, pull.head_oid];
    oid = world.commit(repository, { ...made, author: method === 'merge' ? by : pull.author, parents });
  }
  if (method === 'queue') event(world, pull, 'AddedToMergeQueueEvent', { at: queued_at, actor: by });
  relate(repository, oid, pull);
  world.push(repository, base, oid, { actor, at, type: method === 'queue' ? 'merge_queue_merge' : 'pr_merge' });
  closed(world, pull, { by: actor, at, oid });
  if (!pull.cross && !keep_head) world.push(repository, pull.head, ZERO, { actor, at });
  return oid;
}

/** Marks one as merged whose commits are already in its base: GitHub does so by itself when somebody pushes them. */
export function closed(world, pull, { by, at, oid }) {
  Object.assign(pull, { state: 'MERGED', merged_at: at, closed_at: at, merged_by: by, merge_oid: oid, updated_at: at });
  event(world, pull, 'MergedEvent', { at, actor: by, oid });
}

export function abandon(pull, { at }) {
  Object.assign(pull, { state: 'CLOSED', closed_at: at, updated_at: at });
}

/** Sends it to another branch, which the approvals were not given for. */
export function retarget(world, pull, { to, by, at }) {
  event(world, pull, 'BaseRefChangedEvent', { at, actor: by, from: pull.base, to });
  Object.assign(pull, { base: to, updated_at: at });
}

function relate(repository, oid, pull) {
  const known = repository.pulls_of_commit.get(oid) ?? [];
  if (!known.includes(pull)) repository.pulls_of_commit.set(oid, [...known, pull]);
}

function append(map, key, value) {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
