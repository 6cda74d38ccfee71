"""Let PostgreSQL write what became of several messages by a function: each session keeps the plan of its statement.

Sent anew it was parsed and planned anew, which took longer than to execute it. A prepared statement would do the same,
but not behind a pooler such as PgBouncer. delivery/at_once.py calls the function.
"""

from django.db import migrations

# Each plan is made while the table may be small, and kept when it has grown. So each message is looked for by its key,
# whatever that costs then; the state is compared past its indexes, for a thousand others may be being sent.
CREATE = """
CREATE OR REPLACE FUNCTION flasky_mail_record(results json, this_hour timestamptz, this_slot integer)
RETURNS SETOF bigint LANGUAGE plpgsql SET enable_seqscan = off
AS $function$
DECLARE
    one record;
    ended bigint[] := '{}';
BEGIN
    FOR one IN
        SELECT * FROM json_to_recordset(results) AS result (
            state varchar, next_attempt_at timestamptz, finished_at timestamptz, attempt_count integer,
            lost_claims smallint, unknown_ends smallint, last_reply text, outcomes jsonb, possible_duplicate boolean,
            attempt_message_id bigint, attempt_claim_token uuid, attempt_started_at timestamptz,
            attempt_seconds double precision, attempt_outcome varchar, attempt_reply text, attempt_server varchar,
            attempt_secured boolean, attempt_logged_in boolean, attempt_worker varchar
        )
    LOOP
        UPDATE flasky_mail_outboxmessage AS message SET
            state = one.state, next_attempt_at = one.next_attempt_at, finished_at = one.finished_at,
            attempt_count = one.attempt_count, lost_claims = one.lost_claims, unknown_ends = one.unknown_ends,
            last_reply = one.last_reply, outcomes = one.outcomes, possible_duplicate = one.possible_duplicate,
            claim_token = NULL, lease_expires_at = NULL
        WHERE message.id = one.attempt_message_id AND message.claim_token = one.attempt_claim_token
            AND message.state || '' = 'sending';
        IF FOUND THEN
            INSERT INTO flasky_mail_attempt (
                message_id, claim_token, started_at, seconds, outcome, reply, server, secured, logged_in, worker
            ) VALUES (
                one.attempt_message_id, one.attempt_claim_token, one.attempt_started_at, one.attempt_seconds,
                one.attempt_outcome, one.attempt_reply, one.attempt_server, one.attempt_secured,
                one.attempt_logged_in, one.attempt_worker
            );
            ended := ended || one.attempt_message_id;
            RETURN NEXT one.attempt_message_id;
        END IF;
    END LOOP;
    INSERT INTO flasky_mail_hourlycount AS count (
        hour, slot, sent, failed, accepted, partly, refused, postponed, unknown, retries, waited_ms
    )
    SELECT
        this_hour, this_slot, COALESCE(SUM(count_sent), 0), COALESCE(SUM(count_failed), 0),
        COALESCE(SUM(count_accepted), 0), COALESCE(SUM(count_partly), 0), COALESCE(SUM(count_refused), 0),
        COALESCE(SUM(count_postponed), 0), COALESCE(SUM(count_unknown), 0), COALESCE(SUM(count_retries), 0),
        COALESCE(SUM(count_waited_ms), 0)
    FROM json_to_recordset(results) AS result (
        attempt_message_id bigint, count_sent integer, count_failed integer, count_accepted integer,
        count_partly integer, count_refused integer, count_postponed integer, count_unknown integer,
        count_retries integer, count_waited_ms bigint
    )
    WHERE attempt_message_id = ANY (ended) HAVING COUNT(*) > 0
    ON CONFLICT (hour, slot) DO UPDATE SET
        sent = count.sent + excluded.sent, failed = count.failed + excluded.failed,
        accepted = count.accepted + excluded.accepted, partly = count.partly + excluded.partly,
        refused = count.refused + excluded.refused, postponed = count.postponed + excluded.postponed,
        unknown = count.unknown + excluded.unknown, retries = count.retries + excluded.retries,
        waited_ms = count.waited_ms + excluded.waited_ms;
END
$function$
"""
DROP = "DROP FUNCTION IF EXISTS flasky_mail_record(json, timestamptz, integer)"


def create(apps, schema_editor):
    """Make the function by which PostgreSQL writes what became of messages."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(CREATE)


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(DROP)


class Migration(migrations.Migration):
    dependencies = [("flasky_mail", "0002_action_tried_now")]
    operations = [migrations.RunPython(create, drop)]
