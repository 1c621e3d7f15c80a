// `acme/pulls`: pull requests whose approval is not what it seems, each with its verdict.

import { abandon, closed, dismiss, merge, open, pushed, retarget, review } from './pulls.mjs';
import { minutes } from './scenarios.mjs';
import { tell } from './truth.mjs';

const YES = (...counted) => ({ approved: true, why: ['approved'], counted });
const NO = (...why) => ({ approved: false, why });
const UNKNOWN = (...why) => ({ approved: null, why });

/**
 * Title: what happened between opening and merging, and the verdict. `t(n)` is a minute of that pull request's two hours;
 * it is merged at t(100) unless the story merges it.
 */
const STORIES = [
  ['approved, merge commit', ({ approve }) => (approve('bob', 20), YES('bob'))],
  ['approved, squashed', ({ approve }) => (approve('bob', 20), YES('bob')), { method: 'squash' }],
  ['approved, rebased: each commit has a new sha', ({ approve }) => (approve('bob', 20), YES('bob')), { method: 'rebase', commits: [{}, {}, {}] }],
  ['approved by its author alone', ({ approve }) => (approve('alice', 20), NO('self_approval'))],
  ['approved by its author and by somebody else', ({ approve }) => (approve('alice', 20), approve('bob', 30), YES('bob'))],
  ['approved, then pushed to', ({ approve, push }) => (approve('bob', 20), push('alice', 30), NO('older_commit'))],
  ['approved, pushed to, approved again', ({ approve, push }) => (approve('bob', 20), push('alice', 30), approve('bob', 40), YES('bob'))],
  [
    'approval dismissed before the merge',
    ({ world, pull, t, approve }) => {
      dismiss(world, pull, approve('bob', 20), { by: 'octo-admin', at: t(30) });
      return NO('dismissed');
    },
  ],
  [
    'approval dismissed after the merge',
    ({ world, pull, t, approve, land }) => {
      const given = approve('bob', 20);
      land(60);
      dismiss(world, pull, given, { by: 'octo-admin', at: t(70) });
      return YES('bob');
    },
  ],
  ['approved, then changes requested by the same', ({ approve, say }) => (approve('bob', 20), say('bob', 30, 'CHANGES_REQUESTED'), NO('changes_requested'))],
  ['approved, then commented by the same', ({ approve, say }) => (approve('bob', 20), say('bob', 30, 'COMMENTED'), YES('bob'))],
  ['changes requested, then approved by the same', ({ approve, say }) => (say('bob', 20, 'CHANGES_REQUESTED'), approve('bob', 30), YES('bob'))],
  ['approved, changes requested after the merge', ({ approve, say, land }) => (approve('bob', 20), land(60), say('bob', 70, 'CHANGES_REQUESTED'), YES('bob'))],
  ['by an author who is gone', ({ approve }) => (approve('bob', 20), YES('bob')), { author: 'gone', pusher: 'alice' }],
  ['approved by one who is gone', ({ approve }) => (approve('gone', 20), UNKNOWN('reviewer_unknown'))],
  ['by a bot', ({ approve }) => (approve('bob', 20), YES('bob')), { author: 'dependabot[bot]' }],
  ['approved by a bot', ({ approve }) => (approve('review-robot[bot]', 20).can_push = true, NO('bot_reviewer'))],
  ['by a bot, approved by a bot', ({ approve }) => (approve('review-robot[bot]', 20).can_push = true, NO('bot_reviewer')), { author: 'dependabot[bot]' }],
  ['approved without write access', ({ approve }) => (approve('outsider', 20), NO('no_write_access'))],
  ['approved by the last pusher, who is not the author', ({ approve, push }) => (push('bob', 20, 'alice'), approve('bob', 30), NO('last_pusher'))],
  ['approved by the last pusher and another', ({ approve, push }) => (push('bob', 20), approve('bob', 30), approve('carol', 40), YES('carol'))],
  ['brought up to date by the reviewer, who then approved', ({ pull, approve, push }) => (push('bob', 20, 'bob', { committer: 'web-flow', message: `Merge branch 'main' into ${pull.head}` }), approve('bob', 30), NO('last_pusher'))],
  ['approved after the merge', ({ approve, land }) => (land(60), approve('bob', 70), NO('after_merge'))],
  ['approved, by the merge queue', ({ approve, land }) => (approve('bob', 20), land(60, { method: 'queue', minute: 50 }), YES('bob'))],
  ['not approved, by the merge queue', ({ land }) => (land(60, { method: 'queue', minute: 50 }), NO('no_review'))],
  ['without a review', () => NO('no_review')],
  ['commented only', ({ say }) => (say('bob', 20, 'COMMENTED'), NO('not_an_approval'))],
  [
    'approved, then pushed to by force',
    ({ world, pull, t, approve }) => {
      approve('bob', 20);
      pushed(world, pull, { by: 'alice', at: t(30), force: true });
      return NO('older_commit');
    },
  ],
  ['from a fork, whose pusher nobody sees', ({ approve }) => (approve('bob', 20), UNKNOWN('pusher_unknown')), { author: 'outsider', cross: true }],
  ['from a fork, approved by two', ({ approve }) => (approve('bob', 20), approve('carol', 25), YES('bob', 'carol')), { author: 'outsider', cross: true }],
  [
    'approved for another branch, then sent to this one',
    ({ world, pull, t, approve }) => {
      approve('bob', 20);
      retarget(world, pull, { to: 'main', by: 'alice', at: t(30) });
      return { ...YES('bob'), base_changed_after_approval: true };
    },
    { base: 'develop' },
  ],
  [
    'over 100 reviews, the last opinion on the second page',
    ({ approve, say }) => {
      approve('bob', 2);
      for (let index = 0; index < 110; index += 1) say('carol', 3 + index / 4, 'COMMENTED');
      say('bob', 40, 'CHANGES_REQUESTED');
      return NO('changes_requested', 'not_an_approval');
    },
  ],
  [
    'over 100 reviews, the approval on the second page',
    ({ approve, say }) => {
      for (let index = 0; index < 110; index += 1) say('carol', 3 + index / 4, 'COMMENTED');
      approve('bob', 40);
      return YES('bob');
    },
  ],
  ['merged by its author, approved by another', ({ approve, land }) => (approve('bob', 20), land(60, { by: 'alice' }), YES('bob'))],
  ['approved by two, one of whom took it back', ({ approve, say }) => (approve('bob', 20), approve('carol', 25), say('carol', 30, 'CHANGES_REQUESTED'), YES('bob'))],
  [
    'its commits pushed to the branch, so that GitHub called it merged',
    ({ world, pull, t, repository }) => {
      const { head_oid } = pull;
      world.push(repository, 'main', head_oid, { actor: 'alice', at: t(60) });
      closed(world, pull, { by: 'alice', at: t(60), oid: head_oid });
      return NO('no_review');
    },
  ],
  ['updated long after it was merged', ({ approve, land, pull }) => (approve('bob', 20), land(60), (pull.updated_at = '2026-11-20T08:00:00Z'), YES('bob'))],
  ['approved twice by the same, on both commits', ({ approve, push }) => (approve('bob', 20), push('alice', 30), approve('bob', 35), approve('bob', 40), YES('bob'))],
  ['approved by an administrator without bounds', ({ approve }) => (approve('octo-admin', 20), YES('octo-admin'))],
];

export function pullTraps(world, repository) {
  world.push(repository, 'develop', repository.refs.get('main'), { actor: 'octo-admin', at: '2026-02-01T09:00:00Z' });
  old(world, repository);
  STORIES.forEach(([title, story, given = {}], index) => {
    const { method = 'merge', author = 'alice', ...more } = given;
    const t = (minute) => minutes(1000 + index * 120 + minute);
    const pull = open(world, repository, { title, author, at: t(0), ...more });
    // What is pushed to a fork is not in this repository's suites.
    if (pull.cross) for (const suite of repository.check_suites.get(pull.head_oid)) suite.push = null;
    const land = (minute, { by = 'dave', method: how = method, minute: queued } = {}) => merge(world, pull, { by, at: t(minute), method: how, queued_at: t(queued ?? minute) });
    const say = (by, minute, state) => review(world, pull, { by, at: t(minute), state });
    const verdict = story({
      world,
      repository,
      pull,
      t,
      land,
      say,
      approve: (by, minute) => say(by, minute, 'APPROVED'),
      push: (by, minute, as = by, commit = {}) => pushed(world, pull, { by, at: t(minute), commits: [{ author: as, ...commit }] }),
    });
    if (pull.state === 'OPEN') land(100);
    tell(world, pull, { ...verdict, last_pusher: pull.cross ? null : pusher(repository, pull) });
  });
  const left = minutes(1000 + STORIES.length * 120);
  open(world, repository, { title: 'still open', author: 'alice', at: left });
  abandon(open(world, repository, { title: 'closed without a merge', author: 'alice', at: left }), { at: left });
}

/** Merged months before: outside any interval that starts in November. */
function old(world, repository) {
  const pull = open(world, repository, { title: 'merged in June', author: 'alice', at: '2026-06-01T09:00:00Z' });
  review(world, pull, { by: 'bob', at: '2026-06-01T10:00:00Z' });
  merge(world, pull, { by: 'bob', at: '2026-06-01T11:00:00Z' });
  // Something was said of it in November, so that it comes first by its update.
  pull.updated_at = '2026-11-19T09:00:00Z';
  tell(world, pull, { ...YES('bob'), last_pusher: 'alice' });
}

function pusher(repository, pull) {
  const suites = repository.check_suites.get(pull.head_oid) ?? [];
  return suites.find(({ push }) => push)?.push.actor ?? null;
}
