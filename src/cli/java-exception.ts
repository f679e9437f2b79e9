/** Errors as Apache's tools print them: by the name of the Java class, which scripts look for. */
import { errorByCode } from '../kafka/protocol/errors.ts'

/** Names that are not the error's own in camel case with `Exception` behind. */
const irregular: Readonly<Record<string, string>> = {
  REQUEST_TIMED_OUT: 'TimeoutException',
  KAFKA_STORAGE_ERROR: 'KafkaStorageException',
  UNKNOWN_SERVER_ERROR: 'UnknownServerException',
  NETWORK_EXCEPTION: 'NetworkException',
  INVALID_TOPIC_EXCEPTION: 'InvalidTopicException',
  MESSAGE_TOO_LARGE: 'RecordTooLargeException',
  RECORD_LIST_TOO_LARGE: 'RecordBatchTooLargeException',
  CORRUPT_MESSAGE: 'CorruptRecordException',
  GROUP_SUBSCRIBED_TO_TOPIC: 'GroupSubscribedToTopicException',
  OFFSET_METADATA_TOO_LARGE: 'OffsetMetadataTooLarge',
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'OutOfOrderSequenceException',
  DUPLICATE_SEQUENCE_NUMBER: 'DuplicateSequenceException',
  INVALID_PRODUCER_ID_MAPPING: 'InvalidPidMappingException',
  INVALID_TRANSACTION_TIMEOUT: 'InvalidTxnTimeoutException',
  SASL_AUTHENTICATION_FAILED: 'SaslAuthenticationException',
  DELEGATION_TOKEN_AUTH_DISABLED: 'DelegationTokenDisabledException',
  DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: 'UnsupportedByAuthenticationException',
  NON_EMPTY_GROUP: 'GroupNotEmptyException',
  PRINCIPAL_DESERIALIZATION_FAILURE: 'PrincipalDeserializationException',
  FETCH_SESSION_TOPIC_ID_ERROR: 'FetchSessionTopicIdException',
  TOPIC_ALREADY_EXISTS: 'TopicExistsException',
  INVALID_CONFIG: 'InvalidConfigurationException',
  STALE_CONTROLLER_EPOCH: 'ControllerMovedException',
}

/** `org.apache.kafka.common.errors.TimeoutException` */
export function javaException(errorCode: number): string {
  const { name } = errorByCode(errorCode)
  const regular = (): string => `${name.replace(/_AUTHORIZATION_FAILED$/, '_AUTHORIZATION').split('_').map((word) => word[0] + word.slice(1).toLowerCase()).join('')}Exception`
  return `org.apache.kafka.common.errors.${irregular[name] ?? regular()}`
}
