//! Appends that bring no transaction, and get their positions in their own.
//!
//! Each is one statement, so that whoever sent it cannot stop in the middle with
//! locks. It locks in this order: the sequencer, for which it waits as all do who give
//! positions; then the streams, for which it does not wait: one that a transaction
//! has locked is left to who can wait for it alone. With both it sees whatever was
//! committed before, numbers that first, and appends what fits.

use crate::store::Sql;

/// `durable_append_one` appends one event. It answers the stream's version after it;
/// `-1 - version` when it is none of those expected; null when a transaction has the
/// stream. There is no position while others that come first have none.
///
/// `durable_append_all` does so for many appends, each with its own answer. `_streams`
/// has each stream once, `_of` tells for each append which of them it is to, `_append`
/// for each event which append it belongs to, and `_place` which event of it.
///
/// Both move the counter before anything else, which is also how they lock it, and back
/// by what they did not need. `_near` is a version that the stream may have by now or
/// soon: an index gives all versions on a page, not the last one, so of a long stream
/// only what follows is looked at.
///
/// `durable_number_before` is for who has moved the counter from `_start` on and finds
/// events without a position. It answers from where it is moved now, or null, unmoved,
/// when they are too many for one transaction.
///
/// The counter's row is written by every commit that numbers, and who looks for it
/// meets the dead ones on its page: room for few of them makes the server clear it often.
pub(crate) const BATCHES: Sql = Sql::Each {
    sqlite: "",
    postgres: "ALTER TABLE durable_sequencer SET (fillfactor = 10);
    CREATE FUNCTION durable_number_before(
        _start BIGINT, _count BIGINT
    ) RETURNS BIGINT LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        UPDATE durable_sequencer SET position = _start;
        PERFORM durable_number(1000);
        PERFORM id FROM durable_event WHERE position IS NULL ORDER BY id LIMIT 1;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        UPDATE durable_sequencer SET position = position + _count
            RETURNING position - _count INTO _start;
        RETURN _start;
    END $$;
    CREATE FUNCTION durable_append_one(
        _stream TEXT, _near BIGINT, _least BIGINT, _most BIGINT, _type TEXT, _data BYTEA,
        _time BIGINT, _traceparent TEXT, _actor TEXT, _correlation TEXT, _causation TEXT,
        OUT answer BIGINT, OUT until BIGINT
    ) LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        UPDATE durable_sequencer SET position = position + 1 RETURNING position INTO until;
        IF pg_try_advisory_xact_lock(hashtextextended(_stream, 0)) THEN
            PERFORM id FROM durable_event WHERE position IS NULL ORDER BY id LIMIT 1;
            IF FOUND THEN
                until := durable_number_before(until - 1, 1) + 1;
            END IF;
            SELECT version INTO answer FROM durable_event
                WHERE stream = _stream COLLATE \"C\" AND version >= _near
                ORDER BY version DESC LIMIT 1;
            IF NOT FOUND THEN
                SELECT coalesce(max(version), 0) INTO answer
                    FROM durable_event WHERE stream = _stream COLLATE \"C\";
            END IF;
            IF answer BETWEEN _least AND _most THEN
                answer := answer + 1;
                INSERT INTO durable_event (position, stream, version, type, data, time,
                        traceparent, actor, correlation, causation)
                    VALUES (until, _stream, answer, _type, _data, _time,
                        _traceparent, _actor, _correlation, _causation);
                RETURN;
            END IF;
            answer := -1 - answer;
        END IF;
        IF until IS NOT NULL THEN
            UPDATE durable_sequencer SET position = until - 1;
            until := NULL;
        END IF;
    END $$;
    CREATE FUNCTION durable_append_all(
        _streams TEXT[], _near BIGINT[], _of BIGINT[], _least BIGINT[], _most BIGINT[], _counts BIGINT[],
        _times BIGINT[], _traceparents TEXT[], _actors TEXT[], _correlations TEXT[],
        _causations TEXT[], _append BIGINT[], _place BIGINT[], _types TEXT[], _data BYTEA[],
        OUT answers BIGINT[], OUT positions BIGINT[], OUT until BIGINT
    ) LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        _nothing BIGINT[] := array_fill(NULL::BIGINT, ARRAY[cardinality(_of)]);
        _before BIGINT[] := _nothing;
        _start BIGINT;
        _free BOOLEAN[];
        _versions BIGINT[];
        _version BIGINT;
        _taken BIGINT := 0;
    BEGIN
        answers := _nothing;
        positions := _nothing;
        UPDATE durable_sequencer SET position = position + cardinality(_types)
            RETURNING position - cardinality(_types) INTO _start;
        _free := ARRAY(SELECT pg_try_advisory_xact_lock(hashtextextended(name, 0))
            FROM unnest(_streams) AS stream(name));
        PERFORM id FROM durable_event WHERE position IS NULL ORDER BY id LIMIT 1;
        IF FOUND THEN
            _start := durable_number_before(_start, cardinality(_types));
        END IF;
        _versions := ARRAY(SELECT coalesce(
                (SELECT max(version) FROM durable_event
                    WHERE stream = name COLLATE \"C\" AND version >= near),
                (SELECT max(version) FROM durable_event WHERE stream = name COLLATE \"C\"), 0)
            FROM unnest(_streams, _near) AS stream(name, near));
        FOR _i IN 1 .. cardinality(_of) LOOP
            CONTINUE WHEN NOT _free[_of[_i]];
            _version := _versions[_of[_i]];
            IF _version BETWEEN _least[_i] AND _most[_i] THEN
                _before[_i] := _version;
                _version := _version + _counts[_i];
                _versions[_of[_i]] := _version;
                answers[_i] := _version;
                _taken := _taken + _counts[_i];
                positions[_i] := _start + _taken;
            ELSE
                answers[_i] := -1 - _version;
            END IF;
        END LOOP;
        INSERT INTO durable_event (position, stream, version, type, data, time,
                traceparent, actor, correlation, causation)
            SELECT positions[append] - _counts[append] + place, _streams[_of[append]],
                   _before[append] + place, type, data, _times[append],
                   _traceparents[append], _actors[append], _correlations[append],
                   _causations[append]
            FROM unnest(_append, _place, _types, _data) AS event(append, place, type, data)
            WHERE _before[append] IS NOT NULL;
        until := _start + _taken;
        IF until < _start + cardinality(_types) THEN
            UPDATE durable_sequencer SET position = until;
        END IF;
    END $$;",
};
