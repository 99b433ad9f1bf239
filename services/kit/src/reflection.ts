import { readFileSync } from 'node:fs'
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import type { ServiceDefinition } from '@grpc/grpc-js'
import type { PackageDefinition } from '@grpc/proto-loader'
import { ReflectionService } from '@grpc/reflection'

/**
 * Server reflection (grpc.reflection.v1 and v1alpha) on the descriptor set as buf wrote it: proto-loader's own reading
 * of it would merge files by package and lose google.protobuf's, which grpcurl then cannot resolve.
 */
export function createReflection(
  descriptors: string,
  served: readonly ServiceDefinition[],
): ReflectionService {
  const { file } = fromBinary(FileDescriptorSetSchema, readFileSync(descriptors))
  const fileDescriptorProtos = file.map((each) => Buffer.from(toBinary(FileDescriptorProtoSchema, each)))
  const files = { contract: { fileDescriptorProtos } } as unknown as PackageDefinition
  const services = ['grpc.health.v1.Health', ...served.map(nameOf)]
  return new ReflectionService(files, { services })
}

/** "/instatunnel.keys.v1.ApiKeyService/ListKeys" → "instatunnel.keys.v1.ApiKeyService". */
const nameOf = (definition: ServiceDefinition) => Object.values(definition)[0]?.path.split('/')[1] ?? ''
