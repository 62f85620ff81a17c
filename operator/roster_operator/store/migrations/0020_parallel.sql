-- PostgreSQL takes a function for one that forbids parallel workers until it is told otherwise, and the first two stand in
-- every policy and every view: no statement about rows of a tenant was ever given a second core. They are asked once a
-- statement, by the leader, and only read.
alter function roster.session_tenant() parallel restricted;
alter function roster_app.visible_tenants() parallel restricted;
alter function roster.pinnable(text, text) parallel safe;
