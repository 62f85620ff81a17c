-- What is said of a bundle for information stands among a sync's issues, too: a file that is recognised and not
-- imported, say. It is no problem, so no trend counts it.
alter table roster_stage.template_issue drop constraint template_issue_severity_check,
  add constraint template_issue_severity_check check (severity in ('error', 'warning', 'info'));
alter table roster.issue drop constraint issue_severity_check,
  add constraint issue_severity_check check (severity in ('error', 'warning', 'info'));
