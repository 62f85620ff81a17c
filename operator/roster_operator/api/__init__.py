"""The two custom resources, and the messages that operator and Jobs exchange, as typed values.

This room knows no cluster, no database and no school information system: everything here is data.
`crds/*.yaml` is generated from these models (`make generate`).
"""
