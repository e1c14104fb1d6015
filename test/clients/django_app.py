"""A small Django site: django_app.py BACKEND LOCATION USERS.sqlite

It has the two settings that Horizon's operators write and nothing else about caches. Serves on a free loopback port,
which it prints. Views answer with JSON; test_django_site.py is their client.
"""

import socketserver
import sys
import wsgiref.simple_server

import django
from django.conf import settings
from django.contrib import auth
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path


def answer(request, **more):
    return JsonResponse(dict(more, key=request.session.session_key,
                             user=request.user.username, count=request.session.get('count', 0)))


def login(request):
    user = auth.authenticate(request, username=request.GET['user'], password=request.GET['password'])
    if user:
        auth.login(request, user)
        request.session.save()
    return answer(request, welcome=user is not None)


def logout(request):
    auth.logout(request)
    return answer(request)


def count(request):
    request.session['count'] = request.session.get('count', 0) + 1
    request.session['padding'] = 'x' * int(request.GET.get('size', 0))
    request.session.save()
    return answer(request)


def show(request):
    return answer(request)


def cycle(request):
    request.session.cycle_key()
    return answer(request)


def expire(request):
    request.session.set_expiry(int(request.GET['seconds']))
    return answer(request)


def flush(request):
    request.session.flush()
    return answer(request)


urlpatterns = [path(f.__name__, f) for f in (login, logout, count, show, cycle, expire, flush)]


class Site(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


def main(backend, location, users):
    settings.configure(
        SESSION_ENGINE='django.contrib.sessions.backends.cache',
        CACHES={'default': {'BACKEND': backend, 'LOCATION': location}},
        SECRET_KEY='test', ALLOWED_HOSTS=['*'], ROOT_URLCONF='__main__', USE_TZ=True,
        DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': users}},
        DEFAULT_AUTO_FIELD='django.db.models.AutoField',
        INSTALLED_APPS=['django.contrib.auth', 'django.contrib.contenttypes', 'django.contrib.sessions'],
        PASSWORD_HASHERS=['django.contrib.auth.hashers.MD5PasswordHasher'],
        MIDDLEWARE=['django.contrib.sessions.middleware.SessionMiddleware',
                    'django.contrib.auth.middleware.AuthenticationMiddleware'])
    django.setup()
    call_command('migrate', verbosity=0)
    auth.get_user_model().objects.create_user('ada', password='lovelace')
    site = wsgiref.simple_server.make_server('127.0.0.1', 0, get_wsgi_application(), Site, Quiet)
    print(site.server_port, flush=True)
    site.serve_forever()


if __name__ == '__main__':
    main(*sys.argv[1:])
