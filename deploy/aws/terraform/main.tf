# The role that evidenced assumes in an account in order to read it. Use it once for each account; the policy is the
# one in ../policy.json, so that there is only one list of actions to review.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "collector_arn" {
  description = "ARN of the role or user that evidenced runs as: the only one that may assume this role."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/", var.collector_arn))
    error_message = "Give the ARN of one role or user; a whole account would let everybody in it assume this role."
  }
}

variable "external_id" {
  description = "The external_id of the source's settings: a long random text, the same here and there."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_+=,.@:/-]{16,}$", var.external_id)) && length(var.external_id) <= 1224
    error_message = "Give 16 to 1224 characters out of letters, digits and _+=,.@:/-."
  }
}

variable "role_name" {
  description = "Name of the role, the same in every account: the role of the source's settings."
  type        = string
  default     = "evidenced"
}

variable "organization" {
  description = "Whether this is the management account or one delegated by it, and may list the organisation's accounts."
  type        = bool
  default     = false
}

locals {
  policy = jsondecode(file("${path.module}/../policy.json"))
  statements = [
    for statement in local.policy.Statement : statement
    if var.organization || statement.Sid != "ReadOrganization"
  ]
}

resource "aws_iam_role" "evidenced" {
  name                 = var.role_name
  description          = "Read-only: evidenced collects SOC 2 evidence with it"
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "CollectorOnly"
      Effect    = "Allow"
      Principal = { AWS = var.collector_arn }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "sts:ExternalId" = var.external_id } }
    }]
  })
}

resource "aws_iam_role_policy" "evidenced" {
  name   = "evidenced-read"
  role   = aws_iam_role.evidenced.id
  policy = jsonencode(merge(local.policy, { Statement = local.statements }))
}

output "role_arn" {
  description = "ARN of the role."
  value       = aws_iam_role.evidenced.arn
}
