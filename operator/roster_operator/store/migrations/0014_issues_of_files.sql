-- Where a problem stands in a bundle: the file, the line, and by `field` the column. What a server says has pages only.
--
-- A problem of a file as a whole (its header, its encoding) has no sourcedId; its entity is the file's table, so that
-- entity, code and field tell such problems apart as they do those of records.
alter table roster_stage.template_issue add file text, add line integer;
alter table roster.issue add file text, add line integer;
