{{/* Settings that every process reads. Secrets come by reference; the sealing one as a file, which no `env` prints. */}}
{{- define "authsvc.env" -}}
{{- $secret := .Values.secret -}}
- {name: AUTHSVC_ENV, value: production}
- {name: AUTHSVC_ISSUER, value: {{ .Values.issuer | quote }}}
- {name: AUTHSVC_BIND, value: "0.0.0.0:8000"}
- {name: AUTHSVC_KEYS_URL, value: {{ .Values.keysUrl | quote }}}
- {name: AUTHSVC_EMAIL_FROM, value: {{ .Values.email.from | quote }}}
- {name: AUTHSVC_SMS_URL, value: {{ .Values.smsUrl | quote }}}
- {name: AUTHSVC_EXPORTS_URL, value: {{ .Values.exportsUrl | quote }}}
- {name: AUTHSVC_TRUSTED_PROXIES, value: {{ join "," .Values.trustedProxies | quote }}}
- {name: AUTHSVC_LOG_LEVEL, value: {{ .Values.logLevel }}}
- {name: AUTHSVC_SECRET_FILE, value: /run/authsvc/secret}
- name: AUTHSVC_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ $secret.name }}, key: {{ $secret.keys.databaseUrl }}}}
- name: AUTHSVC_EMAIL_URL
  valueFrom: {secretKeyRef: {name: {{ $secret.name }}, key: {{ $secret.keys.emailUrl }}}}
{{- if $secret.keys.redisUrl }}
- name: AUTHSVC_REDIS_URL
  valueFrom: {secretKeyRef: {name: {{ $secret.name }}, key: {{ $secret.keys.redisUrl }}}}
{{- end }}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{/* What only processes that stay read. */}}
{{- define "authsvc.envOfServers" -}}
{{- if .Values.policies }}
- {name: AUTHSVC_POLICIES_DIR, value: /etc/authsvc/policies}
{{- end }}
{{- if .Values.metrics.enabled }}
- {name: AUTHSVC_METRICS_BIND, value: "0.0.0.0:{{ .Values.metrics.port }}"}
{{- end }}
{{- end }}

{{- define "authsvc.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "authsvc.containerSecurity" -}}
image: {{ include "authsvc.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "authsvc.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: secret, mountPath: /run/authsvc, readOnly: true}
{{- end }}

{{- define "authsvc.volumes" -}}
- {name: tmp, emptyDir: {medium: Memory, sizeLimit: 64Mi}}
- name: secret
  secret:
    secretName: {{ .Values.secret.name }}
    defaultMode: 0440
    items: [{key: {{ .Values.secret.keys.secret }}, path: secret}]
{{- end }}

{{/* Call with (dict "root" . "component" "web"). A node or a zone that goes away takes one of them along. */}}
{{- define "authsvc.placement" -}}
{{- $own := index .root.Values .component -}}
topologySpreadConstraints:
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "authsvc.selector" $.root | nindent 8 }}
        app.kubernetes.io/component: {{ $.component }}
{{- end }}
{{- with $own.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with $own.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with $own.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- end }}

{{/* Annotations of a pod: a changed policy is a new pod, for policies are read at the start. */}}
{{- define "authsvc.podAnnotations" -}}
checksum/policies: {{ toJson .root.Values.policies | sha256sum }}
{{- with (index .root.Values .component).podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}
