# The demo's image: the operator's, and with it a PostgreSQL and what the sample School Information System needs.
# For demonstrations and tests only; the operator itself needs none of it.

ARG OPERATOR

FROM ${OPERATOR} AS demo
USER 0:0
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/demo.txt /requirements/
# The requirements name the operator's again, at the same versions: pip finds those there and adds the others.
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca.pem,target=/run/secrets/ca.pem \
    /opt/roster/bin/pip install --require-hashes --only-binary :all: --no-compile --root /demo \
        --requirement /requirements/demo.txt \
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -s /demo /demo/opt/roster/lib

FROM ${OPERATOR}
LABEL org.opencontainers.image.title="roster-operator-demo"
COPY --from=demo /demo/opt/roster /opt/roster
