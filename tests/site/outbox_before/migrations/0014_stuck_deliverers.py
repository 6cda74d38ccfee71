from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('mail', '0013_write_probe'),
    ]

    operations = [
        migrations.AddField(
            model_name='deliverer',
            name='stuck_since',
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
