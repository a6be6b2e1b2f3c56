/**
 * The messages of BuildKit's protocols, as far as we speak them: fields by number, as they are on the wire. Fields
 * that are not here are skipped when they are read.
 */
export const SCHEMA = `syntax = "proto3";

message Empty {}
message BytesMessage { bytes data = 1; }
message Timestamp { int64 seconds = 1; int32 nanos = 2; }
message Any { string type_url = 1; bytes value = 2; }
message RpcStatus { int32 code = 1; string message = 2; repeated Any details = 3; }

message Platform { string Architecture = 1; string OS = 2; string Variant = 3; }
message OperationMetadata { bool ignore_cache = 1; }
message Definition { repeated bytes def = 1; map<string, OperationMetadata> metadata = 2; }
message OperationInput { string digest = 1; int64 index = 2; }
message SourceOperation { string identifier = 1; map<string, string> attrs = 2; }
message Operation { repeated OperationInput inputs = 1; SourceOperation source = 3; }
message Position { int32 line = 1; int32 character = 2; }
message Range { Position start = 1; Position end = 2; }
message SourceInfo { string filename = 1; bytes data = 2; string language = 4; }

message BuildkitVersion { string package = 1; string version = 2; string revision = 3; }
message GCPolicy { bool all = 1; int64 keepDuration = 2; }
message WorkerRecord {
  string ID = 1; map<string, string> Labels = 2; repeated Platform platforms = 3;
  repeated GCPolicy GCPolicy = 4; BuildkitVersion BuildkitVersion = 5;
}
message ListWorkersRequest { repeated string filter = 1; }
message ListWorkersResponse { repeated WorkerRecord record = 1; }
message InfoResponse { BuildkitVersion buildkitVersion = 1; }

message UsageRecord {
  string ID = 1; bool Mutable = 2; bool InUse = 3; int64 Size = 4; Timestamp CreatedAt = 6;
  Timestamp LastUsedAt = 7; int64 UsageCount = 8; string Description = 9; string RecordType = 10;
  bool Shared = 11; repeated string Parents = 12;
}
message DiskUsageRequest { repeated string filter = 1; }
message DiskUsageResponse { repeated UsageRecord record = 1; }
message PruneRequest {
  repeated string filter = 1; bool all = 2; int64 keepDuration = 3; int64 keepBytes = 4;
}

message Exporter { string Type = 1; map<string, string> Attrs = 2; }
message CacheOptions { repeated Exporter Exports = 4; repeated Exporter Imports = 5; }
message ControlSolveRequest {
  string Ref = 1; Definition Definition = 2; string Exporter = 3; map<string, string> ExporterAttrs = 4;
  string Session = 5; string Frontend = 6; map<string, string> FrontendAttrs = 7;
  CacheOptions Cache = 8; repeated string Entitlements = 9;
  map<string, Definition> FrontendInputs = 10; repeated Exporter Exporters = 13;
}
message ControlSolveResponse { map<string, string> ExporterResponse = 1; }
message StatusRequest { string Ref = 1; }
message StatusResponse {
  repeated Vertex vertexes = 1; repeated VertexStatus statuses = 2; repeated VertexLog logs = 3;
  repeated VertexWarning warnings = 4;
}
message Vertex {
  string digest = 1; repeated string inputs = 2; string name = 3; bool cached = 4; Timestamp started = 5;
  Timestamp completed = 6; string error = 7;
}
message VertexStatus {
  string ID = 1; string vertex = 2; string name = 3; int64 current = 4; int64 total = 5;
  Timestamp timestamp = 6; Timestamp started = 7; Timestamp completed = 8;
}
message VertexLog { string vertex = 1; Timestamp timestamp = 2; int64 stream = 3; bytes msg = 4; }
message VertexWarning {
  string vertex = 1; int64 level = 2; bytes short = 3; repeated bytes detail = 4; string url = 5;
  SourceInfo info = 6; repeated Range ranges = 7;
}
message BuildHistoryEvent { int32 type = 1; }

message APICap { string ID = 1; bool Enabled = 2; }
message PongResponse {
  repeated APICap FrontendAPICaps = 1; repeated APICap LLBCaps = 2; repeated WorkerRecord Workers = 3;
}
message Ref { string id = 1; Definition def = 2; }
message RefMap { map<string, Ref> refs = 1; }
message Result {
  oneof result { string refDeprecated = 1; Ref ref = 3; RefMap refs = 4; }
  map<string, bytes> metadata = 10;
}
message SolveRequest {
  Definition Definition = 1; string Frontend = 2; map<string, string> FrontendOpt = 3;
  map<string, Definition> FrontendInputs = 13; bool Evaluate = 14;
}
message SolveResponse { Result result = 3; }
message ReturnRequest { Result result = 1; RpcStatus error = 2; }
message ResolveImageConfigRequest { string Ref = 1; Platform Platform = 2; string ResolveMode = 3; }
message ResolveImageConfigResponse { string Digest = 1; bytes Config = 2; string Ref = 3; }
message FileRange { int64 Offset = 1; int64 Length = 2; }
message ReadFileRequest { string Ref = 1; string FilePath = 2; FileRange Range = 3; }
message ReadFileResponse { bytes Data = 1; }
message ReadDirRequest { string Ref = 1; string DirPath = 2; string IncludePattern = 3; }
message ReadDirResponse { repeated Stat entries = 1; }
message StatFileRequest { string Ref = 1; string Path = 2; }
message StatFileResponse { Stat stat = 1; }
message InputsResponse { map<string, Definition> Definitions = 1; }

message Stat {
  string path = 1; uint32 mode = 2; uint32 uid = 3; uint32 gid = 4; int64 size = 5; int64 modTime = 6;
  string linkname = 7; int64 devmajor = 8; int64 devminor = 9; map<string, bytes> xattrs = 10;
}
message Packet { int32 type = 1; Stat stat = 2; uint32 ID = 3; bytes data = 4; }

message GetSecretRequest { string ID = 1; }
message GetSecretResponse { bytes data = 1; }
message CheckAgentRequest { string ID = 1; }
message CredentialsRequest { string Host = 1; }
message CredentialsResponse { string Username = 1; string Secret = 2; }
message HealthCheckResponse { int32 status = 1; }
`;
