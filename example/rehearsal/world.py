"""The tournaments of the demo, and a round of play in them: payments and matches through the ORM."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import User

from apps.tournaments import services
from apps.tournaments.models import Match, PaymentVerification, Registration, Tournament

PLAYERS = 40
A_MATCH_EVERY = 4  # tournaments: so that a round has payments everywhere and matches in a quarter of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round of play did, by its own count; compared with the database and the receiver.

    Attributes:
        events: Things that happened.
        told: Persons told, over all events: one record and one e-mail each.
    """

    events: int
    told: int


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All tournaments with their two registrations each."""

    places: dict[int, tuple[Registration, Registration]]

    @property
    def tournament_ids(self) -> list[int]:
        """Every tournament's id, in order."""
        return list(self.places)

    def play(self) -> Round:
        """Play one round: a payment in every tournament, a match from start to end in every fourth."""
        events = told = 0
        for number, tournament_id in enumerate(self.places):
            self.pay(tournament_id)
            events, told = events + 1, told + 1
            if number % A_MATCH_EVERY == 0:
                self.play_match(tournament_id)
                events, told = events + 4, told + 8
        return Round(events=events, told=told)

    def pay(self, tournament_id: int) -> PaymentVerification:
        """Submit a payment and verify it as the runbook's shell snippet does: set the status and save."""
        pv = services.submit_payment(self.places[tournament_id][0])
        pv.status = "verified"
        pv.save()
        return pv

    def play_match(self, tournament_id: int) -> None:
        """Schedule a match, start it, submit and confirm its result: four events, two told of each."""
        home, away = self.places[tournament_id]
        match = services.schedule_match(home, away)
        services.start_match(match)
        services.submit_result(match, winner=home)
        services.confirm_result(match)

    def play_scheduled_match(self, tournament_id: int, *, contested: bool = False) -> Match:
        """Play a match that was scheduled before; a contested one ends by a decision."""
        home, away = self.places[tournament_id]
        match = Match.objects.create(tournament_id=tournament_id, home=home, away=away)
        services.start_match(match)
        services.submit_result(match, winner=home)
        if contested:
            services.resolve_dispute(services.open_dispute(match, raised_by=away), winner=away)
        else:
            services.confirm_result(match)
        return match


def reopen() -> World:
    """Return the world that another process has built in the same database."""
    places: dict[int, list[Registration]] = {}
    for place in Registration.objects.select_related("player").order_by("tournament_id", "pk"):
        places.setdefault(place.tournament_id, []).append(place)
    return World(places={tournament_id: (home, away) for tournament_id, (home, away) in places.items()})


def build(tournaments: int) -> World:
    """Create *tournaments* tournaments with two registered players each."""
    players = User.objects.bulk_create(
        User(username=f"player-{number}", email=f"player-{number}@example.org") for number in range(PLAYERS)
    )
    made = Tournament.objects.bulk_create(
        Tournament(name=f"Cup {number}") for number in range(1, tournaments + 1)
    )
    homes = Registration.objects.bulk_create(
        Registration(tournament=cup, player=players[number % PLAYERS]) for number, cup in enumerate(made)
    )
    aways = Registration.objects.bulk_create(
        Registration(tournament=cup, player=players[(number + 1) % PLAYERS])
        for number, cup in enumerate(made)
    )
    pairs = zip(made, homes, aways, strict=True)
    return World(places={cup.pk: (home, away) for cup, home, away in pairs})
