-- Segments of like mines: how they were found, which mine is in which, what each is like. Written by
-- fvi_pipeline/segments; nothing is changed or deleted, a fit that came out otherwise is added with its time.

create table if not exists mart.segment_fits (
    as_of_year integer not null,
    created_timestamp timestamptz not null,
    fit_id text not null,
    mines integer not null check (mines > 0),
    segments integer not null check (segments > 1),
    silhouette double precision not null check (silhouette between -1 and 1),
    stability double precision not null check (stability between -1 and 1),
    features text[] not null,
    tried jsonb not null,
    left_out jsonb not null,
    model jsonb not null,
    primary key (as_of_year, created_timestamp)
);
comment on table mart.segment_fits is
    'How the segments of a cohort were found, newest last: the features that count, every number of segments that was'
    ' tried with its mean silhouette, and what a further mine is placed by.';
comment on column mart.segment_fits.stability is
    'Mean adjusted Rand index of the segments with those of fits on four fifths of the mines: 1 when they are the '
    'same, 0 when they agree as chance does.';
comment on column mart.segment_fits.tried is
    'Each number of segments: mean silhouette, mines of the smallest segment, whether it could be taken.';
comment on column mart.segment_fits.left_out is 'Each feature that does not count, with the reason.';
comment on column mart.segment_fits.model is
    'Scaling and centres: powers, means and deviations by feature, and the centres in standard deviations.';

create table if not exists mart.mine_segments (
    mine_id text not null,
    as_of_year integer not null,
    event_timestamp timestamptz not null,
    created_timestamp timestamptz not null,
    fit_id text not null,
    segment integer,
    segment_name text,
    distance double precision check (distance >= 0),
    silhouette double precision check (silhouette between -1 and 1),
    next_segment integer,
    next_segment_name text,
    next_distance double precision check (next_distance >= 0),
    known_share double precision check (known_share between 0 and 1),
    primary key (mine_id, as_of_year, created_timestamp)
);
create index if not exists mine_segments_created on mart.mine_segments (created_timestamp);
comment on table mart.mine_segments is
    'The segment of every mine of a cohort, a row for each fit: as known since created_timestamp. Context for people,'
    ' no input of a model. segment null: the mine has left the cohort.';
comment on column mart.mine_segments.distance is
    'To the centre of the segment, in standard deviations over all features.';
comment on column mart.mine_segments.silhouette is
    '1: far from every other segment; 0: between two; below 0: nearer to the mines of another.';
comment on column mart.mine_segments.next_segment is 'The nearest other segment.';
comment on column mart.mine_segments.known_share is
    'Part of the features that have a value; the others count as the median of the cohort.';

create table if not exists mart.segment_profiles (
    as_of_year integer not null,
    segment integer not null check (segment > 0),
    created_timestamp timestamptz not null,
    fit_id text not null,
    segment_name text not null,
    mines integer not null check (mines > 0),
    share double precision not null check (share between 0 and 1),
    silhouette double precision not null,
    in_words text not null,
    traits jsonb not null,
    states jsonb not null,
    mine_types jsonb not null,
    example_mines text[] not null,
    past jsonb not null,
    primary key (as_of_year, segment, created_timestamp)
);
comment on table mart.segment_profiles is
    'What the segments are like, newest last: segment 1 has the largest median production. Profiles that were written'
    ' together share created_timestamp.';
comment on column mart.segment_profiles.traits is
    'Each feature, the most telling first: the median (of a flag the part) in the segment and in the cohort, and the '
    'part of the pairs in which the mine of the segment has more.';
comment on column mart.segment_profiles.states is 'The largest states with their mines, as are mine_types.';
comment on column mart.segment_profiles.example_mines is 'The mines nearest to the centre.';
comment on column mart.segment_profiles.past is
    'What became of past mines that would be in the segment by what was first known of them: by horizon the rows, the'
    ' part of them that was viable with its 95 % interval, and that of all past mines. No outcome has a part in '
    'making the segments.';

create or replace view mart.current_mine_segments as
select mine_segments.*
from mart.mine_segments
where
    mine_segments.created_timestamp = (select max(fits.created_timestamp) from mart.segment_fits as fits)
    and mine_segments.segment is not null;
comment on view mart.current_mine_segments is
    'The segments of the newest cohort as they are now, one row for each mine of it.';
