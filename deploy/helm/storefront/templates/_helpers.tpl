{{/* The release's name, with the chart's name unless it contains that already. */}}
{{- define "storefront.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The selector labels of one part; takes {root, part}. */}}
{{- define "storefront.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part.name }}
{{- end -}}

{{/* Labels of all resources; takes the root. */}}
{{- define "storefront.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* The deployments: a single one, or those of .Values.services. A JSON list of {name, suffix,
     serves, replicas}. */}}
{{- define "storefront.parts" -}}
{{- $parts := list -}}
{{- range .Values.services -}}
{{- $parts = append $parts (dict "name" .name "suffix" (printf "-%s" .name) "serves" .serves "replicas" (.replicas | default $.Values.replicas)) -}}
{{- else -}}
{{- $parts = append $parts (dict "name" "all" "suffix" "" "serves" list "replicas" .Values.replicas) -}}
{{- end -}}
{{- $parts | toJson -}}
{{- end -}}

{{/* Where the ingress sends each path: a JSON list of {path, suffix}. All other paths go to overview. */}}
{{- define "storefront.paths" -}}
{{- $path := dict "overview" "/" "orders" "/orders" "stock" "/stock" "payment" "/payment" -}}
{{- $paths := list -}}
{{- $of := dict -}}
{{- range $part := include "storefront.parts" . | fromJsonArray -}}
{{- $serves := $part.serves | default (list "overview") -}}
{{- if has "cart" $serves -}}
{{- $serves = concat (without $serves "cart") (list "orders" "stock" "payment") -}}
{{- end -}}
{{- range $service := $serves | uniq -}}
{{- if hasKey $of $service -}}
{{- fail (printf "services %s and %s both serve %s: the ingress has one way for it" (get $of $service) $part.name $service) -}}
{{- end -}}
{{- $_ := set $of $service $part.name -}}
{{- $paths = append $paths (dict "path" (get $path $service) "suffix" $part.suffix) -}}
{{- end -}}
{{- end -}}
{{- $paths | toJson -}}
{{- end -}}

{{- define "storefront.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* The variable with the database's URL. */}}
{{- define "storefront.database" -}}
- name: STOREFRONT_DATABASE_URL
  {{- if eq .Values.database.backend "embedded" }}
  value: embedded:/var/lib/storefront/data/games.db
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.existingSecret }}
      key: {{ .Values.database.secretKey }}
  {{- end }}
{{- end -}}

{{- define "storefront.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
# The owner of the embedded database's volume.
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "storefront.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Rejects invalid combinations before anything is sent to the cluster. */}}
{{- define "storefront.check" -}}
{{- if eq .Values.database.backend "embedded" -}}
{{- if or (gt (int .Values.replicas) 1) .Values.autoscaling.enabled .Values.services -}}
{{- fail "database.backend embedded is one file for one pod: set replicas to 1, leave autoscaling and services off, or use postgres or cassandra" -}}
{{- end -}}
{{- if .Values.seed.enabled -}}
{{- fail "seed.enabled does not work with database.backend embedded: run `storefront seed` in the pod by kubectl exec" -}}
{{- end -}}
{{- else if not .Values.database.existingSecret -}}
{{- fail (printf "database.existingSecret must name the secret that has the URL of the %s database" .Values.database.backend) -}}
{{- end -}}
{{- if and .Values.ingress.tlsSecret (not .Values.ingress.host) -}}
{{- fail "ingress.tlsSecret needs ingress.host, whose certificate it is" -}}
{{- end -}}
{{- end -}}
