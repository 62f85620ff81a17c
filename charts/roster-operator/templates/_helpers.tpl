{{- define "roster.name" -}}
{{- .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "roster.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "roster.selector" -}}
app.kubernetes.io/name: {{ include "roster.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "roster.consoleSelector" -}}
app.kubernetes.io/name: {{ include "roster.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: console
{{- end -}}

{{- define "roster.consoleLabels" -}}
{{ include "roster.consoleSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Never managed-by=roster-operator: by that label the operator knows its Jobs. */}}
{{- define "roster.labels" -}}
{{ include "roster.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "roster.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "roster.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "roster.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "roster.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The operator, as the API server knows it. */}}
{{- define "roster.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "roster.fullname" . }}
{{- end -}}

{{/* Names of what is not in a namespace. */}}
{{- define "roster.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "roster.fullname" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Two releases, each with namespaces of its own, do not judge each other's. */}}
{{- define "roster.watchedNamespaces" -}}
{{- with .Values.watchNamespaces }}
namespaceSelector:
  matchExpressions:
    - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}
{{- end }}
{{- end -}}

{{/* Non-empty where the API server has MutatingAdmissionPolicy v1. ValidatingAdmissionPolicy v1 it always has. */}}
{{- define "roster.canMutate" -}}
{{- $api := "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}
{{- if or (.Capabilities.APIVersions.Has $api) (semverCompare ">=1.36-0" .Capabilities.KubeVersion.Version) -}}yes{{- end -}}
{{- end -}}

{{/* A policy's binding: (list context suffix) */}}
{{- define "roster.policyBinding" -}}
{{- $context := index . 0 }}
{{- $name := printf "%s-%s" (include "roster.clusterName" $context) (index . 1) }}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ $name }}
  labels:
    {{- include "roster.labels" $context | nindent 4 }}
spec:
  policyName: {{ $name }}
  validationActions: {{ toJson $context.Values.admission.actions }}
  {{- with include "roster.watchedNamespaces" $context }}
  matchResources:
    {{- . | trim | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* CEL variables about the person's decision on a sync, and who is said to have made it. */}}
{{- define "roster.decisionVariables" -}}
- name: approved
  expression: object.spec.?approved.orValue(false)
- name: wasApproved
  expression: oldObject != null && oldObject.spec.?approved.orValue(false)
- name: plan
  expression: object.spec.?approvedPlan.orValue('')
- name: hadPlan
  expression: "oldObject == null ? '' : oldObject.spec.?approvedPlan.orValue('')"
- name: refusal
  expression: object.spec.?rejected.?reason.orValue('')
- name: hadRefusal
  expression: "oldObject == null ? '' : oldObject.spec.?rejected.?reason.orValue('')"
# A decision is made, or another one than before.
- name: decides
  expression: >-
    variables.approved && !variables.wasApproved
    || variables.plan != '' && variables.plan != variables.hadPlan
    || variables.refusal != '' && variables.refusal != variables.hadRefusal
- name: by
  expression: object.metadata.?annotations[?'roster-operator.io/approved-by'].orValue('')
- name: wasBy
  expression: "oldObject == null ? '' : oldObject.metadata.?annotations[?'roster-operator.io/approved-by'].orValue('')"
{{- end -}}

{{/* A value of YAML as CEL. In a CEL map all values have one type, so each is made dyn. */}}
{{- define "roster.cel" -}}
{{- if kindIs "map" . -}}
{
{{- range $number, $key := keys . | sortAlpha }}{{ if $number }}, {{ end }}{{ toJson $key }}: dyn({{ include "roster.cel" (index $ $key) }}){{ end -}}
}
{{- else -}}
{{- toJson . -}}
{{- end -}}
{{- end -}}

{{/* The mail server, for each container that sends mail: its variables, its mounts, and the pod's volumes. */}}
{{- define "roster.mailEnvironment" -}}
{{- with .Values.mail }}{{- if .host }}
- name: ROSTER_SMTP_HOST
  value: {{ .host | quote }}
- name: ROSTER_SMTP_PORT
  value: {{ .port | default "" | toString | quote }}
- name: ROSTER_SMTP_SECURITY
  value: {{ .security | quote }}
- name: ROSTER_SMTP_FROM
  value: {{ required "mail.from: the sender's address is needed with mail.host" .from | quote }}
- name: ROSTER_SMTP_FROM_NAME
  value: {{ .fromName | quote }}
{{- if .secretName }}
- name: ROSTER_SMTP_USER_FILE
  value: /etc/roster/mail/user
- name: ROSTER_SMTP_PASSWORD_FILE
  value: /etc/roster/mail/password
{{- end }}
{{- if .caConfigMap }}
- name: ROSTER_SMTP_CA_FILE
  value: /etc/roster/mail-ca/ca.crt
{{- end }}
{{- end }}{{- end }}
{{- end }}

{{- define "roster.mailMounts" -}}
{{- with .Values.mail }}{{- if .host }}
{{- if .secretName }}
- {name: mail, mountPath: /etc/roster/mail, readOnly: true}
{{- end }}
{{- if .caConfigMap }}
- {name: mail-ca, mountPath: /etc/roster/mail-ca, readOnly: true}
{{- end }}
{{- end }}{{- end }}
{{- end }}

{{- define "roster.mailVolumes" -}}
{{- with .Values.mail }}{{- if .host }}
{{- if .secretName }}
- name: mail
  secret:
    secretName: {{ .secretName }}
    defaultMode: 0440
    items:
      - {key: user, path: user}
      - {key: password, path: password}
{{- end }}
{{- if .caConfigMap }}
- name: mail-ca
  configMap:
    name: {{ .caConfigMap }}
    items:
      - {key: ca.crt, path: ca.crt}
{{- end }}
{{- end }}{{- end }}
{{- end }}

{{/* How people sign in to the console. What is lacking is said here, not by a pod that does not start. */}}
{{- define "roster.identityEnvironment" -}}
{{- with .Values.console }}
{{- if .oidc.issuer }}
{{- $host := "" }}
{{- if .ingress.enabled }}{{ $host = .ingress.host }}{{ else if .httpRoute.enabled }}{{ $host = first .httpRoute.hostnames }}{{ end }}
{{- $host = ternary "" $host (hasPrefix "*" ($host | default "")) }}
- name: ROSTER_CONSOLE_OIDC_ISSUER
  value: {{ .oidc.issuer | quote }}
- name: ROSTER_CONSOLE_OIDC_CLIENT_ID
  value: {{ required "console.oidc.clientId is needed: the id that the identity provider gave the console" .oidc.clientId | quote }}
- name: ROSTER_CONSOLE_URL
  value: {{ .oidc.url | default (ternary (printf "https://%s" $host) "" (not (empty $host))) | required "console.oidc.url is needed: the console's own address as browsers ask for it" | quote }}
- name: ROSTER_CONSOLE_OIDC_SCOPES
  value: {{ join " " .oidc.scopes | quote }}
{{- if .oidc.clientSecret.name }}
- name: ROSTER_CONSOLE_OIDC_CLIENT_SECRET_FILE
  value: /run/secrets/roster-identity/client-secret
{{- end }}
{{- if .oidc.caConfigMap }}
- name: ROSTER_CONSOLE_OIDC_CA
  value: /etc/roster/identity-ca/ca.crt
{{- end }}
- name: ROSTER_CONSOLE_TOKEN_LOGIN
  value: {{ .tokenLogin | quote }}
{{- else }}
{{- if or .oidc.clientId .oidc.clientSecret.name }}{{ fail "console.oidc.issuer is needed: the identity provider's address, exactly as in its tokens" }}{{ end }}
{{- if not .tokenLogin }}{{ fail "console.tokenLogin is off and console.oidc.issuer is empty: nobody could sign in" }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
