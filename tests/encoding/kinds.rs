//! Leaves of the daemon, of what people were told, and of what they did.

use evidenced::log::leaf::{
    Acknowledgement, Alert, AlertState, Attachment, Body, ClockState, Days, Delivery, Event, Exception,
    Export, Heartbeat, MAX_INTEGER, Missed, MissedReason, Population, Sample, Ticks,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{integer, text, time};

pub(super) fn missed() -> impl Strategy<Value = Body> {
    use MissedReason::{
        ClockStep, DaemonDown, DiskFull, Interrupted, Late, LogUnavailable, Maintenance, Overrun, Removed,
    };
    let reasons = vec![ClockStep, DaemonDown, DiskFull, Interrupted, Late];
    let reasons = [reasons, vec![LogUnavailable, Maintenance, Overrun, Removed]].concat();
    let ticks = (time(), time(), integer()).prop_map(|(first, last, count)| Ticks { first, last, count });
    let rest = (prop::sample::select(reasons), option::of(text()));
    (text(), text(), option::of(text()), ticks, rest).prop_map(|(collector, source, target, ticks, rest)| {
        Body::Missed(Missed {
            collector,
            source,
            target,
            ticks,
            reason: rest.0,
            note: rest.1,
        })
    })
}

pub(super) fn heartbeat() -> impl Strategy<Value = Body> {
    let edge = i64::try_from(MAX_INTEGER).unwrap() - 1;
    let clock = (option::of(any::<bool>()), option::of(-1e9..1e9_f64), text());
    let clock = clock.prop_map(|(synchronised, offset_ms, how)| ClockState {
        synchronised,
        offset_ms,
        how,
    });
    let sizes = (integer(), integer(), integer(), option::of(integer()));
    (text(), clock, option::of(-edge..edge), sizes).prop_map(|(version, clock, stepped_ms, sizes)| {
        Body::Heartbeat(Heartbeat {
            version,
            uptime_s: sizes.0,
            clock,
            stepped_ms,
            leaves: sizes.1,
            store_bytes: sizes.2,
            free_bytes: sizes.3,
        })
    })
}

pub(super) fn alert() -> impl Strategy<Value = Body> {
    use AlertState::{Closed, Delivered, Noticed, Opened, Undelivered};
    let state = prop::sample::select(vec![Opened, Closed, Noticed, Delivered, Undelivered]);
    let event = prop::sample::select([Event::ALL.as_slice(), &[Event::Digest, Event::Trial]].concat());
    let sent = (text(), text(), text(), any::<u32>(), text(), option::of(text()));
    let sent = (sent, vec(integer(), 0..3));
    let delivery = sent.prop_map(
        |((channel, phase, key, attempts, answer, reference), also)| Delivery {
            channel,
            phase,
            key,
            attempts,
            answer,
            reference,
            also,
        },
    );
    let scope = (option::of(text()), option::of(text()), option::of(text()));
    let about = (option::of(integer()), option::of(integer()), integer(), text());
    (scope, state, event, about, option::of(delivery)).prop_map(|(scope, state, event, about, delivery)| {
        Body::Alert(Alert {
            collector: scope.0,
            source: scope.1,
            state,
            alert: about.0,
            event,
            severity: about.3,
            test: scope.2.clone(),
            control: scope.2,
            about: about.1,
            resources: about.2,
            delivery,
        })
    })
}

pub(super) fn acknowledgement() -> impl Strategy<Value = Body> {
    let came = (option::of(text()), option::of(text()), option::of(text()));
    (integer(), text(), option::of(text()), came, text()).prop_map(|(alert, note, ticket, came, who)| {
        Body::Acknowledgement(Acknowledgement {
            alert,
            note,
            ticket,
            cause: came.0,
            correction: came.1,
            response: came.2,
            recorded_by: who,
        })
    })
}

pub(super) fn exception() -> impl Strategy<Value = Body> {
    let who = (text(), text(), text());
    let about = (text(), option::of(text()), integer(), option::of(text()));
    (about, text(), who, time()).prop_map(|(about, reason, who, expires)| {
        Body::Exception(Exception {
            test: about.0,
            only_source: about.1,
            reason,
            requested_by: who.0,
            approved_by: who.1,
            recorded_by: who.2,
            expires,
            resources: about.2,
            ticket: about.3,
        })
    })
}

pub(super) fn population() -> impl Strategy<Value = Body> {
    let about = (text(), option::of(text()), time(), time(), vec(text(), 0..3));
    let counts = (integer(), integer(), integer(), integer(), integer(), integer());
    (about, counts, any::<bool>(), text()).prop_map(|(about, counts, over, who)| {
        Body::Population(Population {
            of: about.0,
            period: about.1,
            from: about.2,
            to: about.3,
            only_sources: about.4,
            count: counts.0,
            targets: counts.1,
            snapshots: counts.2,
            incomplete: counts.3,
            gaps: counts.4,
            over,
            leaves: counts.5,
            recorded_by: who,
        })
    })
}

pub(super) fn sample() -> impl Strategy<Value = Body> {
    let how = (text(), text(), text(), text(), option::of(text()));
    let counts = (integer(), integer(), integer());
    (how, counts, option::of(vec(integer(), 0..9))).prop_map(|(how, counts, positions)| {
        Body::Sample(Sample {
            population: counts.0,
            method: how.0,
            seed: how.1,
            size: counts.1,
            basis: how.2,
            drawn: counts.2,
            positions,
            drawn_by: how.3,
            note: how.4,
        })
    })
}

pub(super) fn attachment() -> impl Strategy<Value = Body> {
    let covers = (time(), time()).prop_map(|(from, to)| Days {
        from: from.date_naive(),
        to: to.date_naive(),
    });
    let about = (vec(text(), 0..3), vec(text(), 0..3), text(), text());
    let who = (text(), text(), text(), option::of(text()));
    (about, covers, who).prop_map(|(about, covers, who)| {
        Body::Attachment(Attachment {
            controls: about.0,
            criteria: about.1,
            title: about.2,
            covers,
            file: about.3,
            prepared_by: who.0,
            approved_by: who.1,
            recorded_by: who.2,
            note: who.3,
        })
    })
}

pub(super) fn export() -> impl Strategy<Value = Body> {
    let only = (vec(text(), 0..3), vec(text(), 0..3), vec(text(), 0..3));
    let about = (option::of(text()), time(), time(), any::<bool>());
    (about, only, option::of(text()), text()).prop_map(|(about, only, recipient_sha256, recorded_by)| {
        Body::Export(Export {
            period: about.0,
            from: about.1,
            to: about.2,
            only_controls: only.0,
            only_criteria: only.1,
            only_sources: only.2,
            draft: about.3,
            recipient_sha256,
            recorded_by,
        })
    })
}
