"""Publishes a project, applies for it, approves the application, and reads the new title."""

import sys
import time

import grpc

from titan.applicants.v1 import submissions_pb2, submissions_pb2_grpc
from titan.identity.v1 import sessions_pb2, sessions_pb2_grpc, users_pb2, users_pb2_grpc
from titan.projects.v1 import projects_pb2, projects_pb2_grpc

channel = grpc.insecure_channel(sys.argv[1])
users = users_pb2_grpc.UsersServiceStub(channel)
sessions = sessions_pb2_grpc.SessionsServiceStub(channel)
projects = projects_pb2_grpc.ProjectsServiceStub(channel)
submissions = submissions_pb2_grpc.SubmissionsServiceStub(channel)


def sign_up(email):
    users.CreateUser(users_pb2.CreateUserRequest(email=email, password="correct horse"))
    session = sessions.CreateSession(
        sessions_pb2.CreateSessionRequest(email=email, password="correct horse")
    )
    return (("authorization", "Bearer " + session.access_token),)


owner, applicant = sign_up("owner@example.com"), sign_up("applicant@example.com")
project = projects.CreateProject(
    projects_pb2.CreateProjectRequest(project=projects_pb2.Project(title="A bridge")), metadata=owner
)
submission = submissions.CreateSubmission(
    submissions_pb2.CreateSubmissionRequest(parent=project.name), metadata=applicant
)
try:
    submissions.ApproveSubmission(
        submissions_pb2.ApproveSubmissionRequest(name=submission.name), metadata=applicant
    )
    sys.exit("an applicant approved their own submission")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.PERMISSION_DENIED, error
submissions.ApproveSubmission(
    submissions_pb2.ApproveSubmissionRequest(name=submission.name), metadata=owner
)
update = projects_pb2.UpdateProjectRequest(
    project=projects_pb2.Project(name=project.name, title="A tunnel")
)
update.update_mask.paths.append("title")
projects.UpdateProject(update, metadata=owner)

request = submissions_pb2.GetSubmissionRequest(name=submission.name)
until = time.monotonic() + 10
while time.monotonic() < until:
    seen = submissions.GetSubmission(request, metadata=applicant)
    if seen.project_title == "A tunnel":
        break
    time.sleep(0.02)
print(f"{seen.project_title}, {submissions_pb2.Submission.State.Name(seen.state)}")
