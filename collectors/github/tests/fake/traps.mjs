// The scenario `traps`: acme with 40 repositories, in each of which something deceives who looks only once.
//
// Here are those about protection and about which repositories there are; what deceives about changes is in
// traps-pulls.mjs, traps-checks.mjs and traps-pushes.mjs. What is expected of protection is written down by hand and
// compared with what truth.mjs reckons, so that a mistake in either fails the scenario.

import { renameBranch } from './changes.mjs';
import { checksRule, classic, pullRequestRule, queueRule, ruleset } from './protection.mjs';
import { merge, open, review } from './pulls.mjs';
import { begin, minutes, select } from './scenarios.mjs';
import { checkTraps } from './traps-checks.mjs';
import { pullTraps } from './traps-pulls.mjs';
import { forceTraps, pushTraps } from './traps-pushes.mjs';
import { effective, tell, tellDirect } from './truth.mjs';

const NO_FORCE = { type: 'non_fast_forward' };
const NO_DELETION = { type: 'deletion' };
const ADMINS = { actor_id: 5, actor_type: 'RepositoryRole', bypass_mode: 'always' };

/** Each fills one repository and says what its branches must be found to have: `{branch: {setting: [value, sources]}}`. */
const PROTECTED = {
  unprotected: () => ({ main: {} }),

  'classic-only': (world, it) => {
    classic(world, it, 'main', { reviews: { count: 1, dismiss_stale: true }, checks: { contexts: ['test'], strict: true }, enforce_admins: true });
    const from = ['classic main'];
    return {
      main: { required_approvals: [1, from], dismiss_stale: [true, from], checks: [['test'], from], strict_checks: [true, from], force_push_blocked: [true, from], deletion_blocked: [true, from] },
    };
  },

  // `protected` is true of it, and its classic protection is 404.
  'ruleset-only': (world, it) => {
    ruleset(world, it, { name: 'main-needs-two', rules: [pullRequestRule({ required_approving_review_count: 2 }), NO_FORCE, NO_DELETION] });
    const from = ['ruleset main-needs-two'];
    return { main: { required_approvals: [2, from], force_push_blocked: [true, from], deletion_blocked: [true, from] } };
  },

  'organization-ruleset-only': () => {
    const from = ['ruleset organization-wide'];
    return { main: { required_approvals: [1, from], force_push_blocked: [true, from] } };
  },

  // Its name matches the organisation's ruleset, which leaves it out by name.
  'organization-exempt': () => ({ main: {} }),

  // Classic is the laxer one in each setting.
  conflict: (world, it) => {
    classic(world, it, 'main', { reviews: { count: 1 }, force_pushes: true, deletions: true, checks: { contexts: ['test'] } });
    ruleset(world, it, { name: 'stricter', rules: [pullRequestRule({ required_approving_review_count: 2, require_last_push_approval: true }), NO_FORCE, checksRule(['build'], true)] });
    const from = ['ruleset stricter'];
    return {
      main: { required_approvals: [2, from], last_push_approval: [true, from], force_push_blocked: [true, from], checks: [['build', 'test'], ['classic main', ...from]], strict_checks: [true, from] },
    };
  },

  // And here the ruleset is.
  'conflict-reversed': (world, it) => {
    classic(world, it, 'main', { reviews: { count: 2, dismiss_stale: true }, enforce_admins: true });
    ruleset(world, it, { name: 'laxer', bypass: [ADMINS], rules: [pullRequestRule({ required_approving_review_count: 1, require_last_push_approval: true })] });
    const from = ['classic main'];
    return { main: { required_approvals: [2, from], dismiss_stale: [true, from], last_push_approval: [true, ['ruleset laxer']], force_push_blocked: [true, from], deletion_blocked: [true, from] } };
  },

  agreement: (world, it) => {
    classic(world, it, 'main', { reviews: { count: 1 } });
    ruleset(world, it, { name: 'same', rules: [pullRequestRule(), NO_FORCE] });
    const both = ['classic main', 'ruleset same'];
    return { main: { required_approvals: [1, both], force_push_blocked: [true, both], deletion_blocked: [true, ['classic main']] } };
  },

  'evaluate-only': (world, it) => {
    ruleset(world, it, { name: 'tried', enforcement: 'evaluate', rules: [pullRequestRule({ required_approving_review_count: 2 }), NO_FORCE] });
    return { main: {} };
  },

  disabled: (world, it) => {
    ruleset(world, it, { name: 'off', enforcement: 'disabled', rules: [pullRequestRule(), NO_FORCE] });
    return { main: {} };
  },

  'tags-only': (world, it) => {
    ruleset(world, it, { name: 'tags', target: 'tag', include: ['~ALL'], rules: [NO_DELETION] });
    return { main: {} };
  },

  'admins-free': (world, it) => {
    classic(world, it, 'main', { reviews: { count: 2 }, checks: { contexts: ['test'] }, enforce_admins: false });
    const from = ['classic main'];
    return { main: { required_approvals: [2, from], checks: [['test'], from], force_push_blocked: [true, from], deletion_blocked: [true, from] } };
  },

  'bypass-actors': bypassActors,

  'bypass-classic': (world, it) => {
    classic(world, it, 'main', { reviews: { count: 1, bypass: ['dave', `app:${world.app.slug}`] }, force_push_bypass: ['erin'], enforce_admins: true });
    const from = ['classic main'];
    return { main: { required_approvals: [1, from], force_push_blocked: [true, from], deletion_blocked: [true, from] } };
  },

  // Checks are required, and none is named.
  'checks-empty': (world, it) => {
    classic(world, it, 'main', { checks: { contexts: [], strict: true } });
    const from = ['classic main'];
    return { main: { checks: [[], from], strict_checks: [true, from], force_push_blocked: [true, from], deletion_blocked: [true, from] } };
  },

  'checks-empty-ruleset': (world, it) => {
    ruleset(world, it, { name: 'no-checks', rules: [checksRule([])] });
    return { main: { checks: [[], ['ruleset no-checks']] } };
  },

  // A pull request is required, and nobody's approval.
  'approvals-zero': (world, it) => {
    ruleset(world, it, { name: 'pull-request-only', rules: [pullRequestRule({ required_approving_review_count: 0 })] });
    return { main: { required_approvals: [0, ['ruleset pull-request-only']] } };
  },

  'code-owners': (world, it) => owned(world, it, { path: '.github/CODEOWNERS', text: '* @acme/platform\n', errors: [] }),

  'code-owners-invalid': (world, it) =>
    owned(world, it, {
      path: 'CODEOWNERS',
      text: '* @nobody-here\n/docs alice\n',
      errors: [
        { line: 1, column: 3, kind: 'Unknown owner', source: '* @nobody-here', suggestion: 'make sure @nobody-here exists and has write access to the repository', message: 'Unknown owner on line 1: make sure @nobody-here exists and has write access to the repository\n\n  * @nobody-here\n    ^', path: 'CODEOWNERS' },
        { line: 2, column: 7, kind: 'Invalid owner', source: '/docs alice', suggestion: null, message: 'Invalid owner on line 2:\n\n  /docs alice\n        ^', path: 'CODEOWNERS' },
      ],
    }),

  'code-owners-missing': (world, it) => owned(world, it, null),

  // `release/*` stops at a slash; `release/**/*` does not.
  releases: (world, it) => {
    for (const branch of ['release/1.0', 'release/1.2', 'release/2/hotfix', 'develop']) branched(world, it, branch);
    classic(world, it, 'main', { reviews: { count: 1 } });
    classic(world, it, 'release/*', { reviews: { count: 2 }, force_pushes: true });
    ruleset(world, it, { name: 'releases', include: ['refs/heads/release/**/*'], exclude: ['refs/heads/release/1.0'], rules: [NO_FORCE, NO_DELETION] });
    const [main, pattern, rules] = [['classic main'], ['classic release/*'], ['ruleset releases']];
    return {
      main: { required_approvals: [1, main], force_push_blocked: [true, main], deletion_blocked: [true, main] },
      'release/1.0': { required_approvals: [2, pattern], deletion_blocked: [true, pattern] },
      'release/1.2': { required_approvals: [2, pattern], force_push_blocked: [true, rules], deletion_blocked: [true, [...pattern, ...rules]] },
      'release/2/hotfix': { force_push_blocked: [true, rules], deletion_blocked: [true, rules] },
      develop: {},
    };
  },

  'pattern-only': (world, it) => {
    classic(world, it, 'm*', { reviews: { count: 1 } });
    const from = ['classic m*'];
    return { main: { required_approvals: [1, from], force_push_blocked: [true, from], deletion_blocked: [true, from] } };
  },

  // Only one classic rule is in force on a branch: the one of its name, though the older one is stricter.
  'exact-over-pattern': (world, it) => {
    classic(world, it, '*', { reviews: { count: 3 } });
    classic(world, it, 'main', { reviews: { count: 1 }, force_pushes: true });
    const from = ['classic main'];
    return { main: { required_approvals: [1, from], deletion_blocked: [true, from] } };
  },

  'force-push-allowed': (world, it) => {
    classic(world, it, 'main', { reviews: { count: 1 }, force_pushes: true, deletions: true });
    return { main: { required_approvals: [1, ['classic main']] } };
  },

  'merge-queue': (world, it) => {
    ruleset(world, it, { name: 'queue', rules: [pullRequestRule(), queueRule(), checksRule(['test'])] });
    const from = ['ruleset queue'];
    return { main: { required_approvals: [1, from], merge_queue: [true, from], checks: [['test'], from] } };
  },

  strict: (world, it) => {
    classic(world, it, 'main', { reviews: { count: 2, dismiss_stale: true, code_owners: true, last_push: true }, checks: { contexts: ['lint', 'test'], strict: true }, enforce_admins: true, linear: true, signatures: true, conversations: true });
    const from = ['classic main'];
    return {
      main: {
        required_approvals: [2, from], dismiss_stale: [true, from], code_owner_review: [true, from], last_push_approval: [true, from], checks: [['lint', 'test'], from], strict_checks: [true, from],
        force_push_blocked: [true, from], deletion_blocked: [true, from], signatures: [true, from], linear_history: [true, from], conversation_resolution: [true, from],
      },
    };
  },

  // The default branch was `master`: its classic rule moved along, the ruleset that names it did not.
  'renamed-default': (world, it) => {
    classic(world, it, 'main', { reviews: { count: 1 } });
    ruleset(world, it, { name: 'by-old-name', include: ['refs/heads/master'], rules: [pullRequestRule({ required_approving_review_count: 2 })] });
    it.old_branches.set('master', 'main');
    const from = ['classic main'];
    return { main: { required_approvals: [1, from], force_push_blocked: [true, from], deletion_blocked: [true, from] } };
  },

  trunk: (world, it) => {
    renameBranch(it, 'main', 'trunk');
    it.old_branches.clear();
    // A branch called main besides, protected where the default branch is not.
    branched(world, it, 'main');
    classic(world, it, 'main', { reviews: { count: 1 } });
    return { trunk: {} };
  },

  archived: (world, it) => {
    it.archived = true;
    return { main: {} };
  },

  forked: (world, it) => {
    it.fork = true;
    return { main: {} };
  },

  empty: (world, it) => {
    it.refs.clear();
    it.commits.clear();
    it.pushes.length = 0;
    it.pushed_at = undefined;
    return {};
  },

  vanishing: (world, it) => {
    it.hidden_after_listing = true;
    return { main: {} };
  },

  secret: () => ({ main: {} }),

  // Asked for by its old name, it redirects.
  'renamed-repository': (world, it) => {
    it.old_names.add('old-name');
    return { main: {} };
  },

  deployed: (world, it) => {
    const pull = open(world, it, { author: 'alice', at: minutes(100) });
    review(world, pull, { by: 'bob', at: minutes(110) });
    const sha = merge(world, pull, { by: 'alice', at: minutes(120) });
    tell(world, pull, { approved: true, why: ['approved'], counted: ['bob'] });
    it.deployments.push({ id: world.id(), sha, ref: 'main', environment: 'production', creator: 'alice', at: minutes(130) });
    it.deployments.push({ id: world.id(), sha, ref: 'main', environment: 'staging', creator: 'dependabot[bot]', at: minutes(125) });
    return { main: {} };
  },

  quiet: () => ({ main: {} }),
};

const PUBLIC = ['unprotected', 'classic-only', 'forked', 'approvals-zero', 'ruleset-only'];
const SELECTED = ['conflict', 'bypass-actors', 'pulls', 'pushes', 'code-owners-invalid'];

export function traps(world, acme) {
  ruleset(world, 'acme', {
    name: 'organization-wide',
    repositories: { include: ['organization-*'], exclude: ['organization-exempt'] },
    bypass: [{ actor_id: null, actor_type: 'OrganizationAdmin', bypass_mode: 'always' }],
    rules: [pullRequestRule(), NO_FORCE],
  });
  ruleset(world, 'acme', { name: 'organization-trial', enforcement: 'evaluate', rules: [pullRequestRule({ required_approving_review_count: 5 })] });
  const made = new Map();
  const make = (name) => {
    const repository = world.repository('acme', name, { private: !PUBLIC.includes(name) });
    world.truth.repositories[`acme/${name}`] = { first_commit: begin(world, repository) };
    made.set(name, repository);
    return repository;
  };
  for (const [name, fill] of Object.entries(PROTECTED)) {
    const repository = make(name);
    expect(world, repository, fill(world, repository));
  }
  pullTraps(world, make('pulls'));
  checkTraps(world, make('checks'));
  pushTraps(world, make('pushes'));
  forceTraps(world, make('force-pushed'));
  free(world);
  select(world, SELECTED.map((name) => made.get(name)));
  const mine = world.owned('acme');
  if (mine.length !== 40) throw new Error(`${mine.length} repositories, and not 40`);
  world.truth.organization = { acme: { repositories: mine.length, public: PUBLIC.length, two_factor_required: acme.two_factor_required, selected: SELECTED.map((name) => `acme/${name}`) } };
}

/** An account without a plan: its private repository can't be protected, and says so. */
function free(world) {
  world.account('solo', 'User', { plan: 'free' });
  for (const name of ['private', 'public']) {
    const repository = world.repository('solo', name, { private: name === 'private' });
    repository.roles.set('octo-admin', 'admin');
    world.truth.repositories[`solo/${name}`] = { first_commit: begin(world, repository) };
    classic(world, repository, 'main', { reviews: { count: 1 } });
  }
}

function bypassActors(world, it) {
  ruleset(world, it, {
    name: 'with-exceptions',
    bypass: [ADMINS, { actor_id: world.app.id, actor_type: 'Integration', bypass_mode: 'pull_request' }, { actor_id: 77, actor_type: 'Team', bypass_mode: 'always' }],
    rules: [pullRequestRule(), NO_FORCE, NO_DELETION],
  });
  const suite = (result, actor, at) => {
    const before = it.refs.get('main');
    const after = world.commit(it, { parents: [before], author: actor, at, message: 'Past the rules' });
    if (result !== 'fail') {
      world.push(it, 'main', after, { actor, at });
      tellDirect(world, it, 'main', [after], { pusher: actor, at });
    }
    const evaluations = [{ rule_source: { type: 'ruleset', id: 0, name: 'with-exceptions' }, enforcement: 'active', result: 'fail', rule_type: 'pull_request', details: 'Changes must be made through a pull request.' }];
    it.rule_suites.push({ id: world.id(), actor, before, after, ref: 'refs/heads/main', at, result, evaluations });
    return { sha: after, actor, at, result };
  };
  // The first is older than rule suites reach back.
  const told = [suite('bypass', 'octo-admin', '2026-09-01T10:00:00Z'), suite('bypass', 'octo-admin', minutes(300)), suite('fail', 'erin', minutes(400)), suite('bypass', 'octo-admin', '2026-11-20T06:00:00Z')];
  world.truth.repositories['acme/bypass-actors'].branches.main.rule_suites = told;
  const from = ['ruleset with-exceptions'];
  return { main: { required_approvals: [1, from], force_push_blocked: [true, from], deletion_blocked: [true, from] } };
}

function owned(world, it, codeowners) {
  it.codeowners = codeowners;
  classic(world, it, 'main', { reviews: { count: 1, code_owners: true } });
  world.truth.repositories[`acme/${it.name}`].codeowners = codeowners ? (codeowners.errors.length ? 'invalid' : 'valid') : 'missing';
  const from = ['classic main'];
  return { main: { required_approvals: [1, from], code_owner_review: [true, from], force_push_blocked: [true, from], deletion_blocked: [true, from] } };
}

function branched(world, it, branch) {
  world.push(it, branch, it.refs.get(it.default_branch), { actor: 'octo-admin', at: '2026-02-01T09:00:00Z' });
}

function expect(world, repository, expected) {
  for (const [branch, wanted] of Object.entries(expected)) {
    const { settings } = effective(world, repository, branch);
    const found = Object.fromEntries(Object.entries(settings).map(([name, { value, sources }]) => [name, [value, sources]]));
    const sorted = (value) => JSON.stringify(Object.entries(value).sort());
    if (sorted(found) !== sorted(wanted)) {
      throw new Error(`${repository.name} ${branch}: expected ${sorted(wanted)}, reckoned ${sorted(found)}`);
    }
  }
}
