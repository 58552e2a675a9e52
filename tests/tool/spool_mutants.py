#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Takes one safeguard of the spool away at a time; the tests must notice each (docs/SPOOL.md).

    tests/tool/spool_mutants.py [WORD ...]      only those whose name holds one of the words

Works on a copy of the tree.  A mutant that survives is a failure of the suite; one that does not
apply any more must be written anew.
"""
import os
import shutil
import subprocess
import sys
import tempfile

TESTS = ["spool_record_test", "spool_segment_test", "spool_test", "spool_recycle_test", "spool_compact_test",
         "spool_recover_test", "spool_grow_test"]

# name, file, what stands there, what stands there instead
MUTANTS = [
    ('no sync before 250',
     'mta/spool/log.c',
     '(piece->seal_last != 0 || (is_last && group->syncs))',
     '(piece->seal_last != 0)'),
    ('no sync at seal',
     'mta/spool/log.c',
     '(piece->seal_last != 0 || (is_last && group->syncs))',
     '(is_last && group->syncs)'),
    ('no checksum',
     'mta/spool/record.c',
     'if (XXH3_64bits(in.at, covered) != found)',
     'if (false)'),
    ('no outcome sync',
     'mta/spool/spool.c',
     'return f->is_timed && (s->now_ms',
     'return false && (s->now_ms'),
    ('failed sync taken as good',
     'mta/spool/spool.c',
     '        if (group->status == OK)\n            on_durable',
     '        group->status = OK;\n        if (group->status == OK)\n            on_durable'),
    ('no reserve',
     'mta/spool/keeper.c',
     '    return s->keeper.wants_facts_room &&',
     '    return false && s->keeper.wants_facts_room &&'),
    ('no claim',
     'mta/spool/judge.c',
     'sequence != previous + 1 && previous + 1 > claim',
     'sequence != previous + 1'),
    ('no cut named',
     'mta/spool/log.c',
     '    log_add_end(log, poisoned->id, log->durable, true);',
     '    (void)poisoned;'),
    ('no pins',
     'mta/spool/segment.c',
     'if (s->id >= segment->oldest)',
     'if (false)'),
    ('no blocks',
     'mta/spool/log.c',
     'log->is_block_due ? to_block(log->open->used) : log->open->used',
     'log->open->used'),
    ('tail only synced',
     'mta/spool/judge.c',
     'if (!in->is_in_doubt)',
     'if (true)'),
    ('facts not written again',
     'mta/spool/facts.c',
     '    buf_put(&facts->placed, buf_span(&facts->noted));\n    struct buf all = facts->placed;\n    facts->placed  = facts->noted;\n    facts->noted   = all;\n    buf_clear(&facts->placed);',
     '    buf_clear(&facts->placed);'),
    ('checkpoint behind a report',
     'mta/spool/compact.c',
     's->compact.move->stored->ends_on_the_way == 0',
     'true'),
    ('cut not pinned',
     'mta/spool/log.c',
     '        if (ends[i].is_cut)\n            segment_pin(log->open, ends[i].segment);',
     ''),
    ('ends not looked at',
     'mta/spool/recover.c',
     '        if (found.record.sequence > in->last)\n            break;',
     ''),
    ('holes count as whole',
     'mta/spool/replay.c',
     'told->is_whole = false;',
     'told->is_whole = true;'),
    ('refused heard too early',
     'mta/spool/draft.c',
     '    if (log_owes_head(&s->log) && !log_is_broken(&s->log))\n        return;',
     ''),
    ('facts ends not pinned',
     'mta/spool/facts.c',
     '        segment_pin(place.segment, facts->noted_oldest);',
     ''),
    ('report ends not pinned',
     'mta/spool/draft.c',
     '            segment_pin(segment, spool_oldest(d->spool, about));',
     ''),
    ('recovered pins forgotten',
     'mta/spool/replay.c',
     '        segment_pin(in->segment, stored->oldest);',
     ''),
    ('cursors not pinned',
     'mta/spool/draft.c',
     '        segment_pin(d->pieces[i].segment, spool_oldest(d->spool, stored));',
     '        (void)stored;'),
    ('recovered cursors not pinned',
     'mta/spool/replay.c',
     '        segment_pin(replay->pieces[i].segment, stored->oldest);',
     '        (void)stored;'),
    ('a move forgets how far the list was',
     'mta/spool/move.c',
     '    if (move->is_growing)',
     '    if (false)'),
    ('a refused slice counts',
     'mta/spool/draft.c',
     '    pin_cursor(d, stored);',
     '    pin_cursor(d, stored);\n    if (d->is_growing)\n        stored_move_cursor(stored, d->cursor);'),
    ('drafts with lost chunks live on',
     'mta/spool/draft.c',
     'if (d->last_sequence > s->log.durable || d == s->txn.owner)',
     'if (d == s->txn.owner)'),
    ('move settles before its sync',
     'mta/spool/compact.c',
     '    list_push(&s->log.gathering->moves, &move->link);',
     '    if (move->stored != NULL) move_settle(move); else move_drop(move);\n    s->compact.on_the_way--;'),
    ('unlink before directory sync order',
     'mta/spool/chore.c',
     '    enum status status = disk_unlink(chore->disk, name);\n    if (status == OK || status == NOT_FOUND)\n        status = disk_sync_directory(chore->disk);',
     '    enum status status = disk_unlink(chore->disk, name);'),
    ('durable from zero at start',
     'mta/spool/spool.c',
     's->log.durable = s->log.handed_over = s->recover.sequence_max;',
     '(void)0;'),
    ('spare not synced at start',
     'mta/spool/recover.c',
     '        enum status status = sync_spare(f, in);',
     '        enum status status = OK;'),
    ('reserve rename not synced',
     'mta/spool/chore.c',
     '    if (status == OK)\n        status = disk_sync_directory(chore->disk);\n    if (status == OK)\n        status = disk_open_file',
     '    if (status == OK)\n        status = disk_open_file'),
    ('number not checked',
     'mta/spool/record.c',
     '           bytes_get64(at + AT_SEGMENT) == segment;',
     '           (segment != 0 || true);'),
    ('recycle rename not synced',
     'mta/spool/chore.c',
     '    status = disk_sync_directory(chore->disk);\n    if (status != OK)\n        (void)disk_unlink(chore->disk, to);',
     ''),
    ('recycle rename that failed taken as good',
     'mta/spool/keeper.c',
     '    if (chore->status == OK) {\n        segment_insert',
     '    if (true) {\n        segment_insert'),
    ('poisoned recycled',
     'mta/spool/segment.c',
     'segment->state == SEGMENT_SEALED && segment->refs == 0 && !segment->is_spent',
     'segment->refs == 0'),
    ('recycled under a reader',
     'mta/spool/segment.c',
     'segment->state == SEGMENT_SEALED && segment->refs == 0 && !segment->is_spent',
     'segment->state == SEGMENT_SEALED && !segment->is_spent'),
    ('recycled while live',
     'mta/spool/segment.c',
     '    if (segment->live > 0 || segment->busy > 0 ||',
     '    if (segment->busy > 0 ||'),
]


def first_failing(tree):
    for test in TESTS:
        program = f"build/mutants/{test}"
        made = subprocess.run(["make", "BUILD=build/mutants", "OPT=-O1 -g", program], cwd=tree,
                              capture_output=True)
        if made.returncode != 0:
            return "the compiler"
        try:
            ran = subprocess.run([program], cwd=tree, capture_output=True, timeout=300)
        except subprocess.TimeoutExpired:
            return f"{test} (it did not end)"
        if ran.returncode != 0:
            return test
    return None


def survives(tree, name, path, old, new):
    file = os.path.join(tree, path)
    with open(file, encoding="utf-8") as f:
        text = f.read()
    if old not in text:
        print(f"does not apply: {name}")
        return True
    with open(file, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new))
    killer = first_failing(tree)
    with open(file, "w", encoding="utf-8") as f:
        f.write(text)
    print(f"SURVIVED: {name}" if killer is None else f"{name}: seen by {killer}", flush=True)
    return killer is None


def main():
    words = sys.argv[1:]
    with tempfile.TemporaryDirectory() as tree:
        for part in ("mta", "dns", "bench", "tests", "docs", "Makefile"):
            copy = shutil.copytree if os.path.isdir(part) else shutil.copy
            copy(part, os.path.join(tree, part))
        if first_failing(tree) is not None:
            sys.exit("the tests fail without any mutant")
        chosen = [m for m in MUTANTS if not words or any(w in m[0] for w in words)]
        failed = sum(survives(tree, *m) for m in chosen)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
