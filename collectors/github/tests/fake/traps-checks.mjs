// `acme/checks`: approved pull requests whose checks are not what they seem, each with the state at the merge.

import { check, merge, open, review, status } from './pulls.mjs';
import { minutes } from './scenarios.mjs';
import { tell } from './truth.mjs';

/** Title, checks at the merge ('passed', 'failed', 'unfinished', 'none'), and what happened; merged at minute 50. */
const STORIES = [
  ['passed', 'passed', ({ run }) => run({ from: 10, to: 20 })],
  ['failed', 'failed', ({ run }) => run({ from: 10, to: 20, conclusion: 'failure' })],
  ['still running', 'unfinished', ({ run }) => run({ from: 10, conclusion: null })],
  ['passed after the merge', 'unfinished', ({ run }) => run({ from: 40, to: 60 })],
  ['started and passed after the merge', 'none', ({ run }) => run({ from: 55, to: 60 })],
  ['a status only, passed', 'passed', ({ say }) => say({ at: 20 })],
  ['a status only, failed', 'failed', ({ say }) => say({ at: 20, state: 'failure' })],
  ['a status only, an error', 'failed', ({ say }) => say({ at: 20, state: 'error' })],
  ['a status only, pending', 'unfinished', ({ say }) => say({ at: 20, state: 'pending' })],
  ['a status that passed before it failed', 'failed', ({ say }) => (say({ at: 20 }), say({ at: 30, state: 'failure' }))],
  ['no check', 'none', () => {}],
  ['skipped and neutral', 'passed', ({ run }) => (run({ name: 'a', from: 10, to: 11, conclusion: 'skipped' }), run({ name: 'b', from: 10, to: 12, conclusion: 'neutral' }))],
  ['cancelled', 'failed', ({ run }) => run({ from: 10, to: 20, conclusion: 'cancelled' })],
  ['timed out', 'failed', ({ run }) => run({ from: 10, to: 20, conclusion: 'timed_out' })],
  ['action required', 'failed', ({ run }) => run({ from: 10, to: 20, conclusion: 'action_required' })],
  ['failed, then passed again', 'passed', ({ run }) => (run({ from: 10, to: 15, conclusion: 'failure' }), run({ from: 20, to: 25 }))],
  ['runs passed, a status failed', 'failed', ({ run, say }) => (run({ from: 10, to: 20 }), say({ at: 20, state: 'failure' }))],
  ['same name by two applications, one failed', 'failed', ({ run }) => (run({ from: 10, to: 20 }), run({ from: 10, to: 20, conclusion: 'failure', app: 'another-ci' }))],
  [
    'over 100 checks, the last of which failed',
    'failed',
    ({ run }) => {
      for (let index = 0; index < 120; index += 1) run({ name: `test-${String(index).padStart(3, '0')}`, from: 10, to: 20, conclusion: index === 119 ? 'failure' : 'success' });
    },
  ],
  [
    'over 100 checks, all passed',
    'passed',
    ({ run }) => {
      for (let index = 0; index < 120; index += 1) run({ name: `test-${String(index).padStart(3, '0')}`, from: 10, to: 20 });
    },
  ],
  ['on an older commit only', 'none', ({ run, push }) => (run({ from: 10, to: 15 }), push(16))],
  ['on the merge commit only', 'none', ({ land, run }) => run({ oid: land(), from: 45, to: 49 })],
];

export function checkTraps(world, repository) {
  STORIES.forEach(([title, checks, story], index) => {
    const t = (minute) => minutes(1000 + index * 60 + minute);
    const pull = open(world, repository, { title, author: 'alice', at: t(0) });
    const land = () => (pull.state === 'OPEN' ? merge(world, pull, { by: 'bob', at: t(50), method: 'squash' }) : pull.merge_oid);
    story({
      land: () => {
        review(world, pull, { by: 'bob', at: t(40) });
        return land();
      },
      push: (minute) => {
        const parent = pull.head_oid;
        pull.head_oid = world.commit(repository, { parents: [parent], author: 'alice', at: t(minute), message: 'More' });
        pull.commits.push(pull.head_oid);
        world.push(repository, pull.head, pull.head_oid, { actor: 'alice', at: t(minute) });
      },
      run: ({ oid = pull.head_oid, from, to = from, ...more }) => check(world, repository, oid, { started_at: t(from), completed_at: t(to), ...more }),
      say: ({ at, ...more }) => status(world, repository, pull.head_oid, { at: t(at), creator: 'alice', ...more }),
    });
    if (pull.state === 'OPEN') review(world, pull, { by: 'bob', at: t(40) });
    land();
    tell(world, pull, { approved: true, why: ['approved'], counted: ['bob'], checks });
  });
}
